-- Webhook endpoints with what waits for them, by workspace and age.
select e.id, w.name as workspace, e.url, e.event_types, e.created_at, e.disabled_at, e.disabled_reason,
       case when e.previous_until > now() then e.previous_until end as previous_until,
       (select count(*) from deliveries d where d.endpoint_id = e.id and d.state = 'pending') as pending
from webhook_endpoints e join workspaces w on w.id = e.workspace_id
where %(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s
order by w.name, e.id;
