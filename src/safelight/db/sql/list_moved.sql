-- How generations of a workspace stand that may have moved: the newest, those since an id, those under way, and those that
-- were. The newest are looked at whatever their ids say of the time, as each node's clock gives its own.
select g.id, g.type::text as type, g.state::text as state, g.progress
from (
    (
        select n.id from generations n where n.workspace_id = %(workspace_id)s order by n.id desc limit 50
    ) union (
        select n.id from generations n
        where n.workspace_id = %(workspace_id)s and n.id > %(since)s
        order by n.id desc limit %(most)s
    ) union (
        select u.id
        from unnest(enum_range(null::generation_type)) as asked (type)
        cross join unnest(array['queued', 'running', 'unknown']::generation_state[]) as wanted (state)
        cross join lateral (
            select g.id from generations g
            where g.workspace_id = %(workspace_id)s and g.type = asked.type and g.state = wanted.state
            order by g.id collate "C" desc limit %(most)s
        ) u
    ) union (
        select k.id from unnest(%(under_way)s::text[]) as k (id)
    )
) asked
cross join lateral (
    select * from generations g where g.id = asked.id limit 1 -- each by its key, however many the planner expects
) g
where g.workspace_id = %(workspace_id)s
order by g.id;
