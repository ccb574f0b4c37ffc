-- A workspace's events in their order, from after a number.
select f.number, v.id as event_id, v.type, v.workspace_id, v.generation_id, g.type::text as generation_type, v.payload,
    v.created_at as happened_at
from (
    select number, event_id from followed_events
    where workspace_id = %(workspace_id)s and number > %(after)s order by number limit %(limit)s
) f
cross join lateral (select * from events v where v.id = f.event_id limit 1) v -- each by its key
left join lateral (select type from generations g where g.id = v.generation_id limit 1) g on true
order by f.number;
