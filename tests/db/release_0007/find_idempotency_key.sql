-- What an idempotency key was used for in this workspace.
select generation_id, body_sha256 from idempotency_keys
where workspace_id = %(workspace_id)s and key = %(key)s;
