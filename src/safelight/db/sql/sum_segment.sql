-- What the generations after an id up to another add up to, and each workspace's.
with made as materialized (
    select id, workspace_id, coalesce(charged_nanos, 0) as charged_nanos
    from generations where id > %(after)s and id <= %(last)s
), charged as (
    select workspace_id, count(*) as generations, sum(charged_nanos) as charged_nanos from made group by workspace_id
), posted as (
    select m.workspace_id, count(*) as transfers, max(t.id) as last_transfer_id, sum(t.available_nanos) as available_nanos,
        sum(t.held_nanos) as held_nanos, sum(t.revenue_nanos) as revenue_nanos
    from made m cross join lateral (
        select * from transfers t where t.generation_id = m.id
        offset 0 -- each is looked up by its key, however many the planner expects
    ) t group by m.workspace_id
)
select coalesce(sum(c.generations), 0)::bigint as generations, coalesce(sum(p.transfers), 0)::bigint as transfers,
    (
        select count(*) from made m cross join lateral (
            select from media f where f.generation_id = m.id offset 0 -- likewise
        ) f
    ) as media,
    coalesce(max(p.last_transfer_id), 0)::bigint as last_transfer_id,
    coalesce(jsonb_agg(jsonb_build_object(
        'workspace_id', c.workspace_id, 'generations', c.generations, 'charged_nanos', c.charged_nanos,
        'transfers', coalesce(p.transfers, 0), 'available_nanos', coalesce(p.available_nanos, 0),
        'held_nanos', coalesce(p.held_nanos, 0), 'revenue_nanos', coalesce(p.revenue_nanos, 0)
    ) order by c.workspace_id), '[]') as sums
from charged c left join posted p using (workspace_id);
