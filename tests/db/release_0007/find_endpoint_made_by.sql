-- The webhook endpoint that was made with this idempotency key.
select id from webhook_endpoints where workspace_id = %(workspace_id)s and idempotency_key = %(idempotency_key)s;
