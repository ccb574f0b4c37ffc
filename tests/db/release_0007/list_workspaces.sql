-- Workspaces with their limits and accounts.
select w.id, w.name, w.created_at, w.image_rpm, w.video_rpm, w.concurrency,
       a.available_nanos, a.held_nanos, a.in_flight
from workspaces w join accounts a on a.workspace_id = w.id
where w.id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
order by w.name;
