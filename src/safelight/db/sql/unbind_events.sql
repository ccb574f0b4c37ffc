-- Followers go on from the newest event of their workspace, however old it is. Of one that is older than events are kept, only
-- the place stays, and no longer what it told.
update events v set generation_id = null, type = %(beginning)s, payload = '{}'
from followed_workspaces f join followed_events e on e.workspace_id = f.workspace_id and e.number = f.last_number
where v.id = e.event_id and v.generation_id is not null and v.created_at < now() - make_interval(days => %(days)s);
