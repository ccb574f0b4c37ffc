-- The newest orders in a range of UTC dates that a backend bills, or may have billed, and that nobody was charged for.
select l.at, w.name as workspace, l.generation_id, l.type::text as type, l.model, l.connection, l.upstream_model, l.reason,
    l.cost_nanos, l.request_id
from losses l join workspaces w on w.id = l.workspace_id
where l.at >= %(first)s::date::timestamp at time zone 'UTC' and l.at < (%(last)s::date + 1)::timestamp at time zone 'UTC'
  and l.workspace_id = coalesce(%(workspace_id)s::bigint, l.workspace_id)
order by l.at desc, l.id desc
limit %(most)s;
