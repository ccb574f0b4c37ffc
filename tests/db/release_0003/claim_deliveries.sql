-- Begin attempts at deliveries that are due: from every lane a few, so that a slow one keeps nobody else waiting.
-- An attempt that is not heard of again counts as lost after the lease (database time), and another begins.
with recursive lanes as (
    -- One look at the index per lane, however many deliveries wait in it.
    (select min(lane) as lane from deliveries where state = 'pending')
    union all
    select (select min(d.lane) from deliveries d where d.state = 'pending' and d.lane > l.lane)
    from lanes l where l.lane is not null
), free as (
    select l.lane, %(lane_slots)s - coalesce(b.attempts, 0) as slots
    from lanes l left join unnest(%(busy_lanes)s::text[], %(busy_attempts)s::integer[]) as b (lane, attempts) using (lane)
    where l.lane is not null and coalesce(b.attempts, 0) < %(lane_slots)s
    order by random()
), due as (
    select next.id from free cross join lateral (
        select d.id from deliveries d
        where d.state = 'pending' and d.lane = free.lane and d.next_attempt_at <= now()
        order by d.next_attempt_at
        limit free.slots
        for update skip locked
    ) next
    limit %(slots)s
)
update deliveries d set
    attempts = d.attempts + 1,
    last_attempt_at = now(),
    next_attempt_at = now() + make_interval(secs => %(lease_seconds)s)
from due, webhook_endpoints e, events v left join generations g on g.id = v.generation_id
where d.id = due.id and v.id = d.event_id and e.id = d.endpoint_id
returning d.id, d.event_id, d.endpoint_id, d.lane, d.attempts, coalesce(d.url, e.url) as url,
    d.url is not null as is_of_request, e.disabled_at is not null as is_disabled,
    array_remove(array[e.secret, case when e.previous_until > now() then e.previous_secret end], null) as secrets,
    v.type, v.workspace_id, v.generation_id, g.type::text as generation_type, v.payload, v.created_at as happened_at;
