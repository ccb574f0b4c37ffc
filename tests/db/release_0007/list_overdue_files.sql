-- Files that should be gone: due for longer than the upkeep takes, and still there. The longest first.
select m.generation_id, m.index, w.name as workspace, m.mime_type, m.size_bytes, m.deletes_at, m.tombstoned_at,
    extract(epoch from now() - m.deletes_at)::float8 as overdue_seconds
from media m
join generations g on g.id = m.generation_id
join workspaces w on w.id = g.workspace_id
where m.deleted_at is null and m.deletes_at < now() - make_interval(secs => %(grace_seconds)s)
order by m.deletes_at limit %(most)s;
