-- Reference images of generations that are under way, for a backup. For a database of any revision.
select r.reference ->> 'key' as key
from generations g
cross join lateral jsonb_array_elements(coalesce(g.request -> 'references', '[]')) as r (reference)
where g.state in ('queued', 'running', 'unknown')
order by g.id;
