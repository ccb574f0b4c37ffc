-- What a workspace can still look at, between two ids, from either end: completed, its media kept and not past its time. It
-- is a walk down an index that has nothing of what is gone, and what filters ask about.
select g.id, g.type::text as type, g.model, g.created_at, g.finished_at, g.deletes_at, g.charged_nanos, g.is_stored,
    g.api_key_id, g.way_in, g.request ->> 'prompt' as prompt,
    m.mime_type, m.width, m.height, m.duration_seconds::float8 as duration_seconds
from (
    (
        select g.id from generations g
        where %(newest_first)s and g.workspace_id = %(workspace_id)s and g.type = any(%(types)s::generation_type[])
          and g.state = 'completed' and g.request is not null and g.deletes_at > now()
          and g.id collate "C" >= %(least)s and g.id collate "C" < %(below)s
          and (%(model)s::text is null or g.model = %(model)s)
          and (%(api_key_id)s::bigint is null or g.api_key_id = %(api_key_id)s)
          and (%(way_in)s::text is null or g.way_in = %(way_in)s)
        order by g.id collate "C" desc limit %(limit)s
    ) union all (
        select g.id from generations g
        where not %(newest_first)s and g.workspace_id = %(workspace_id)s and g.type = any(%(types)s::generation_type[])
          and g.state = 'completed' and g.request is not null and g.deletes_at > now()
          and g.id collate "C" >= %(least)s and g.id collate "C" < %(below)s
          and (%(model)s::text is null or g.model = %(model)s)
          and (%(api_key_id)s::bigint is null or g.api_key_id = %(api_key_id)s)
          and (%(way_in)s::text is null or g.way_in = %(way_in)s)
        order by g.id collate "C" limit %(limit)s
    )
) page
cross join lateral (
    select * from generations g where g.id = page.id limit 1 -- each by its key, however many the planner expects
) g
join media m on m.generation_id = g.id and m.index = 0
order by case when %(newest_first)s then g.id collate "C" end desc, g.id collate "C";
