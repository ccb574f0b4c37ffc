-- Whose key a workspace's generation was asked for with, by which way, and how far it has come, with times.
select g.id, g.api_key_id, k.name as key_name, k.prefix || '...' || k.last_four as key, g.way_in,
    g.end_user is not null as has_end_user, g.attempts, g.tries, g.created_at, g.submitted_at, g.cancel_requested_at,
    g.deadline, g.finished_at, g.deletes_at, g.held_nanos, g.charged_nanos
from generations g left join api_keys k on k.id = g.api_key_id
where g.id = %(id)s and g.workspace_id = %(workspace_id)s;
