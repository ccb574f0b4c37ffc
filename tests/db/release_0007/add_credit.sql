-- Add credit to a workspace, or take it back. Its account never goes below zero. With a reference it is added once: a
-- second time the reference is there already, and all of this is refused.
with account as (
    update accounts a set
        available_nanos = a.available_nanos + %(amount_nanos)s::bigint,
        low_since = case when %(amount_nanos)s::bigint < 0 then a.low_since end -- with more, a low balance is news again
    where a.workspace_id = %(workspace_id)s
    returning a.workspace_id, a.available_nanos
), transfer as (
    insert into transfers (workspace_id, kind, funding_nanos, available_nanos, reason)
    select workspace_id, 'fund', -(%(amount_nanos)s::bigint), %(amount_nanos)s::bigint, %(reason)s from account
    returning id
), named as (
    insert into credit_references (reference, transfer_id)
    select %(reference)s::text, id from transfer where %(reference)s::text is not null
)
select available_nanos from account;
