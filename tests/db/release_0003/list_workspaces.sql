-- Workspaces with their limits and accounts.
select w.id, w.name, w.created_at, w.image_rpm, w.video_rpm, w.concurrency,
       a.available_nanos, a.held_nanos, a.in_flight
from workspaces w join accounts a on a.workspace_id = w.id
where %(workspace_id)s::bigint is null or w.id = %(workspace_id)s
order by w.name;
