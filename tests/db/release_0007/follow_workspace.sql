-- Keep a workspace's events on record for a while from now. Where they were not, a new beginning is the newest of them, and a
-- number is left out before it: what happened up to there is not known. The caller holds the account.
with before as (
    select 1 from followed_workspaces where workspace_id = %(workspace_id)s and until > now()
), followed as (
    insert into followed_workspaces as f (workspace_id, last_number, until)
    values (%(workspace_id)s, 1, now() + make_interval(secs => %(seconds)s))
    on conflict (workspace_id) do update set
        last_number = f.last_number + case when exists (select from before) then 0 else 2 end, until = excluded.until
    returning workspace_id, last_number
), beginning as (
    insert into events (workspace_id, type, payload)
    select workspace_id, %(beginning)s, '{}' from followed where not exists (select from before)
    returning id
)
insert into followed_events (workspace_id, number, event_id)
select f.workspace_id, f.last_number, b.id from followed f cross join beginning b;
