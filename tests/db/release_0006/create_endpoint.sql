-- A new webhook endpoint of a workspace. No row comes back if there is no such workspace, or if it has its one
-- endpoint for the addresses of requests already.
insert into webhook_endpoints (workspace_id, url, event_types, secret)
select id, %(url)s, %(event_types)s, %(secret)s from workspaces where id = %(workspace_id)s
on conflict (workspace_id) where url is null do nothing
returning id;
