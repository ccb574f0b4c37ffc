-- Webhook endpoints with what waits for them, by workspace and age.
select e.id, w.name as workspace, e.url, e.event_types, e.created_at, e.disabled_at, e.disabled_reason,
       case when e.previous_until > now() then e.previous_until end as previous_until,
       (select count(*) from deliveries d where d.endpoint_id = e.id and d.state = 'pending') as pending
from webhook_endpoints e join workspaces w on w.id = e.workspace_id
where e.workspace_id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
  and w.erased_at is null
order by w.name, e.id;
