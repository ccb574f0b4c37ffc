-- How generations of a workspace stand that may have moved: the newest, those since an id, those under way, and those that
-- were. The newest are looked at whatever their ids say of the time, as each node's clock gives its own. Each type and state
-- is a walk of its own down the index.
with asked as (
    select t.type, s.state
    from unnest(enum_range(null::generation_type)) as t (type)
    cross join unnest(enum_range(null::generation_state)) as s (state)
)
select g.id, g.type::text as type, g.state::text as state, g.progress
from (
    (
        select newest.id
        from asked cross join lateral (
            select n.id from generations n
            where n.workspace_id = %(workspace_id)s and n.type = asked.type and n.state = asked.state
            order by n.id collate "C" desc limit 50
        ) newest
        order by newest.id collate "C" desc limit 50
    ) union (
        select recent.id
        from asked cross join lateral (
            select n.id from generations n
            where n.workspace_id = %(workspace_id)s and n.type = asked.type and n.state = asked.state
              and n.id collate "C" > %(since)s
            order by n.id collate "C" desc limit %(most)s
        ) recent
        order by recent.id collate "C" desc limit %(most)s
    ) union (
        select open.id
        from asked cross join lateral (
            select n.id from generations n
            where n.workspace_id = %(workspace_id)s and n.type = asked.type and n.state = asked.state
            order by n.id collate "C" desc limit %(most)s
        ) open
        where asked.state in ('queued', 'running', 'unknown')
    ) union (
        select known.id from unnest(%(under_way)s::text[]) as known (id)
    )
) looked_at
cross join lateral (
    select * from generations g where g.id = looked_at.id limit 1 -- each by its key, however many the planner expects
) g
where g.workspace_id = %(workspace_id)s
order by g.id collate "C";
