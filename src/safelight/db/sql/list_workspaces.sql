-- Every workspace with its limits and its account.
select w.id, w.name, w.created_at, w.image_rpm, w.video_rpm, w.concurrency,
       a.available_nanos, a.held_nanos, a.in_flight
from workspaces w join accounts a on a.workspace_id = w.id
where %(name)s::text is null or w.name = %(name)s
order by w.name;
