-- The place of an event in its workspace's order, and how many of those after it are on record.
select e.number, (
    select count(*) from followed_events later where later.workspace_id = e.workspace_id and later.number > e.number
) as after_it
from followed_events e where e.event_id = %(event_id)s and e.workspace_id = %(workspace_id)s;
