-- Deliveries, newest first.
select d.id, d.event_id, v.type, v.generation_id, w.name as workspace, d.endpoint_id, coalesce(d.url, e.url) as url,
       d.state::text as state, d.attempts, d.last_status, d.last_error, d.created_at, d.last_attempt_at, d.ended_at,
       case when d.state = 'pending' then d.next_attempt_at end as next_attempt_at
from deliveries d
join events v on v.id = d.event_id
join webhook_endpoints e on e.id = d.endpoint_id
join workspaces w on w.id = e.workspace_id
where (%(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s)
  and (%(endpoint_id)s::bigint is null or d.endpoint_id = %(endpoint_id)s)
  and (%(state)s::text is null or d.state = %(state)s::delivery_state)
order by d.id desc
limit %(most)s;
