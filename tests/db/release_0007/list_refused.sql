-- Refused requests in a range of UTC dates, newest first, from before a given one. Each workspace is a walk of its own down
-- the index.
select r.id, r.at, w.name as workspace, r.type::text as type, r.model, r.api_key_id, r.way_in, r.reason, r.message, r.param,
    r.count
from workspaces w
cross join lateral (
    select * from refused_requests r
    where r.workspace_id = w.id and r.id < coalesce(%(before)s::bigint, 9223372036854775807)
      and r.at >= %(first)s::date::timestamp at time zone 'UTC'
      and r.at < (%(last)s::date + 1)::timestamp at time zone 'UTC'
      and (%(type)s::text is null or r.type::text = %(type)s)
      and (%(model)s::text is null or r.model = %(model)s)
      and (%(api_key_id)s::bigint is null or coalesce(r.api_key_id, 0) = %(api_key_id)s)
      and (%(way_in)s::text is null or r.way_in = %(way_in)s)
      and (%(reason)s::text is null or r.reason = %(reason)s)
    order by r.id desc limit %(limit)s
) r
where w.id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
order by r.id desc limit %(limit)s;
