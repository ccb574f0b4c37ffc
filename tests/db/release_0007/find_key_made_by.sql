-- The key that was made with this idempotency key.
select id from api_keys where workspace_id = %(workspace_id)s and idempotency_key = %(idempotency_key)s;
