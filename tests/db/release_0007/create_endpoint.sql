-- A new webhook endpoint of a workspace. No row comes back if there is no such workspace, if it has its one endpoint for the
-- addresses of requests already, or if this idempotency key made one already.
insert into webhook_endpoints (workspace_id, url, event_types, secret, idempotency_key)
select id, %(url)s, %(event_types)s, %(secret)s, %(idempotency_key)s from workspaces where id = %(workspace_id)s
on conflict do nothing
returning id;
