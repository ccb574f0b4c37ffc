-- A workspace's jobs of these types and states, newest first, from before a given one. Each type and state is a walk of its
-- own down the index. What else is asked for is in no index: of no more than `most_walked` jobs it is looked at. `walked_to`
-- is the last of them, from before which to go on; null where there are no more. With no job there is one row without id.
with walked as (
    select newest.id
    from unnest(%(types)s::generation_type[]) as asked (type)
    cross join unnest(%(states)s::generation_state[]) as wanted (state)
    cross join lateral (
        select g.id from generations g
        where g.workspace_id = %(workspace_id)s and g.type = asked.type and g.state = wanted.state
          and g.id collate "C" < %(before)s::text and g.id collate "C" >= %(since)s::text
        order by g.id collate "C" desc limit %(most_walked)s
    ) newest
    order by newest.id collate "C" desc limit %(most_walked)s
), page as (
    select g.id, g.type::text as type, g.model, g.state::text as state, g.progress, g.api_key_id, g.way_in,
        g.held_nanos, g.charged_nanos, g.error_code, g.error_message, g.created_at, g.finished_at
    from walked cross join lateral (
        select * from generations g where g.id = walked.id limit 1 -- each by its key, however many the planner expects
    ) g
    where (%(model)s::text is null or g.model = %(model)s)
      and (%(key_id)s::bigint is null or coalesce(g.api_key_id, 0) = %(key_id)s)
      and (%(way_in)s::text is null or g.way_in = %(way_in)s)
      and (%(end_user)s::text is null or g.end_user = %(end_user)s)
      and (%(ended_from)s::timestamptz is null or g.finished_at >= %(ended_from)s and g.finished_at < %(ended_before)s)
    order by g.id collate "C" desc limit %(limit)s
)
select (select case when count(*) = %(most_walked)s then min(id collate "C") end from walked) as walked_to, page.*
from (select) as once left join page on true
order by page.id collate "C" desc;
