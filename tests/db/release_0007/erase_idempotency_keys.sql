-- Forget a batch of a workspace's idempotency keys.
delete from idempotency_keys where ctid = any (array(
    select ctid from idempotency_keys where workspace_id = %(workspace_id)s order by key limit 1000
));
