-- Idempotency keys are remembered for a day.
delete from idempotency_keys
where (workspace_id, key) in (
    select workspace_id, key from idempotency_keys where created_at < now() - interval '24 hours' limit 1000
);
