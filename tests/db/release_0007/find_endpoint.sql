-- A webhook endpoint with what waits for it, and how much failed and was not repeated since, as redeliver_failed takes it;
-- `secret_sha256` tells one secret from the next.
select e.id, w.name as workspace, e.url, e.event_types, e.created_at, e.disabled_at, e.disabled_reason,
       case when e.previous_until > now() then e.previous_until end as previous_until,
       (select count(*) from deliveries d where d.endpoint_id = e.id and d.state = 'pending') as pending,
       (
           select count(*) from deliveries d
           where d.endpoint_id = e.id and d.state = 'failed' and not exists (
               select from deliveries later
               where later.event_id = d.event_id and later.endpoint_id = d.endpoint_id and later.id > d.id)
       ) as failed,
       encode(sha256(e.secret::bytea), 'hex') as secret_sha256
from webhook_endpoints e join workspaces w on w.id = e.workspace_id
where e.id = %(id)s and (%(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s) and w.erased_at is null;
