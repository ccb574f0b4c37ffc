-- Idempotency keys are remembered for a day. A batch of those that are older, by row address: joined by key, the whole table
-- would be read as soon as the planner expects many rows.
delete from idempotency_keys where ctid = any (array(
    select ctid from idempotency_keys where created_at < now() - interval '24 hours'
    order by created_at limit 1000
    for update skip locked
));
