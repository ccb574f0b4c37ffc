-- Begin attempts at deliveries that are due: from every workspace and every lane a few, so that a slow one keeps nobody else
-- waiting. Whoever has the fewest under way comes first. Nobody takes more than half of the free places, and some are kept
-- for those who have none under way.
-- An attempt that is not heard of again counts as lost after the lease (database time), and another begins.
with recursive endpoints as (
    -- One look at the index per endpoint that something waits for ...
    (select min(endpoint_id) as id from deliveries where state = 'pending')
    union all
    select (select min(d.endpoint_id) from deliveries d where d.state = 'pending' and d.endpoint_id > e.id)
    from endpoints e where e.id is not null
), busy as (
    select * from unnest(%(busy_workspaces)s::bigint[], %(busy_lanes)s::text[], %(busy_attempts)s::integer[])
        as b (workspace_id, lane, attempts)
), candidate as (
    select w.workspace_id, next.id, coalesce(b.attempts, 0) as under_way,
        row_number() over (partition by w.workspace_id order by next.place, random()) as turn
    from endpoints e
    join webhook_endpoints w on w.id = e.id
    cross join lateral (
        -- ... and per lane of it, a bounded number of them, from one on that is another each time.
        with recursive lanes as (
            (
                select d.lane, d.lane as first, 1 as number from deliveries d
                where d.state = 'pending' and d.endpoint_id = e.id and d.id >= (
                    select min(a.id) + floor(random() * (max(a.id) - min(a.id) + 1))::bigint from deliveries a
                    where a.endpoint_id = e.id and a.state = 'pending')
                order by d.id limit 1
            )
            union all
            select next.lane, l.first, l.number + 1
            from lanes l
            cross join lateral (
                select coalesce(
                    (select min(d.lane) from deliveries d
                     where d.state = 'pending' and d.endpoint_id = e.id and d.lane > l.lane),
                    (select min(d.lane) from deliveries d where d.state = 'pending' and d.endpoint_id = e.id)) as lane
            ) next
            where l.number < %(lanes_looked_at)s and next.lane <> l.first
        )
        select lane from lanes
    ) l
    left join lateral (select sum(attempts) as attempts from busy where workspace_id = w.workspace_id) b on true
    left join lateral (select attempts from busy where lane = l.lane) in_lane on true
    cross join lateral (
        select d.id, row_number() over (order by d.next_attempt_at) as place from deliveries d
        where d.state = 'pending' and d.endpoint_id = e.id and d.lane = l.lane and d.next_attempt_at <= now()
        order by d.next_attempt_at
        limit greatest(%(lane_slots)s - coalesce(in_lane.attempts, 0), 0)
    ) next
), fair as (
    select id, under_way + turn as turn, row_number() over (order by under_way + turn, random()) as place
    from candidate
    where under_way + turn <= greatest((%(slots)s::integer - %(kept_slots)s::integer + under_way) / 2, 1)
), due as (
    select d.id from fair f join deliveries d on d.id = f.id
    where d.state = 'pending' and d.next_attempt_at <= now()
      and (f.turn = 1 or f.place <= %(slots)s::integer - %(kept_slots)s::integer)
    order by f.place
    limit %(slots)s
    for update of d skip locked
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
    v.type, v.workspace_id, v.generation_id, g.type::text as generation_type, v.payload, v.created_at as happened_at, g.traceparent;
