-- How much a workspace can still look at, by day: each is a range of ids, read from an index that has nothing of what is gone,
-- and what filters ask about.
select d.day, kept.count
from unnest(%(days)s::date[], %(least)s::text[], %(below)s::text[]) as d (day, least, below)
cross join lateral (
    select count(*) as count from generations g
    where g.workspace_id = %(workspace_id)s and g.type = any(%(types)s::generation_type[])
      and g.state = 'completed' and g.request is not null and g.deletes_at > now()
      and g.id collate "C" >= d.least and g.id collate "C" < d.below
      and (%(model)s::text is null or g.model = %(model)s)
      and (%(api_key_id)s::bigint is null or g.api_key_id = %(api_key_id)s)
      and (%(way_in)s::text is null or g.way_in = %(way_in)s)
) kept
where kept.count > 0
order by d.day desc;
