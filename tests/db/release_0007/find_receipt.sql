-- What was deleted of a generation of this workspace, and when; nothing of what it showed.
select m.generation_id, m.index, m.mime_type, m.size_bytes, encode(m.sha256, 'hex') as sha256,
    g.finished_at as created_at, m.deletes_at, m.tombstoned_at, m.deleted_at
from media m join generations g on g.id = m.generation_id
where m.generation_id = %(id)s and g.workspace_id = %(workspace_id)s
order by m.index;
