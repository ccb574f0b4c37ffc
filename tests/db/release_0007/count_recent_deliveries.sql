-- What became of the newest deliveries of each of a workspace's endpoints: so many of each. No more are looked at.
select e.id as endpoint_id, e.url, count(d.state) filter (where d.state = 'delivered') as delivered,
    count(d.state) filter (where d.state = 'failed') as failed, max(d.last_attempt_at) as last_attempt_at
from webhook_endpoints e
left join lateral (
    -- Each state is a walk of its own down the index.
    select newest.state, newest.last_attempt_at
    from unnest(enum_range(null::delivery_state)) as wanted (state)
    cross join lateral (
        select d.id, d.state, d.last_attempt_at from deliveries d
        where d.endpoint_id = e.id and d.state between wanted.state and wanted.state
        order by d.state desc, d.id desc limit %(most)s
    ) newest
    order by newest.id desc limit %(most)s
) d on true
where e.workspace_id = %(workspace_id)s and (%(id)s::bigint is null or e.id = %(id)s)
group by e.id;
