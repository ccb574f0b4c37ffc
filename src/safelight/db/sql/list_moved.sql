-- How a workspace's newest generations stand, from an id on, and those that were under way. Each is found by its key.
select g.id, g.type::text as type, g.state::text as state, g.progress
from (
    (
        select n.id from generations n
        where n.workspace_id = %(workspace_id)s and n.id > %(since)s
        order by n.id desc limit 200
    ) union (
        select u.id from unnest(%(under_way)s::text[]) as u (id)
    )
) asked
join generations g on g.id = asked.id
where g.workspace_id = %(workspace_id)s
order by g.id;
