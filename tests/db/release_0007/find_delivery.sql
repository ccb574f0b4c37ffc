-- A delivery, its event, what its last attempt sent and was answered, and the secrets that sign it now.
select d.id, d.event_id, v.type, v.generation_id, v.workspace_id, g.type::text as generation_type, v.payload,
    v.created_at as happened_at, d.endpoint_id, coalesce(d.url, e.url) as url, e.disabled_at is not null as is_disabled,
    d.state::text as state, d.attempts, d.last_status, d.last_error, d.last_headers, d.last_duration_ms, d.last_response,
    d.created_at, d.last_attempt_at, d.ended_at, case when d.state = 'pending' then d.next_attempt_at end as next_attempt_at,
    array_remove(array[e.secret, e.previous_secret], null) as secrets
from deliveries d
join events v on v.id = d.event_id
join webhook_endpoints e on e.id = d.endpoint_id
join workspaces w on w.id = e.workspace_id
left join generations g on g.id = v.generation_id
where d.id = %(id)s and (%(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s) and w.erased_at is null;
