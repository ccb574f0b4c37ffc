-- The events of a workspace's generation, and how each was delivered to whom. One that nobody is told has no delivery.
select v.id as event_id, v.type, v.created_at as happened_at, d.id as delivery_id, d.endpoint_id,
    coalesce(d.url, e.url) as url, d.state::text as state, d.attempts, d.last_status, d.last_error, d.created_at,
    d.last_attempt_at, d.ended_at, case when d.state = 'pending' then d.next_attempt_at end as next_attempt_at
from events v
left join deliveries d on d.event_id = v.id
left join webhook_endpoints e on e.id = d.endpoint_id
where v.generation_id = %(id)s and v.workspace_id = %(workspace_id)s
order by v.created_at, v.id, d.id
limit 200;
