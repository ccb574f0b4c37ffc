-- Where a generation's file is, while it is kept and its workspace is not erased.
select m.generation_id, m.index, m.key, m.mime_type, m.size_bytes, m.sha256, g.is_stored,
    extract(epoch from m.deletes_at)::bigint as deletes_at_unix
from media m join generations g on g.id = m.generation_id join workspaces w on w.id = g.workspace_id
where m.generation_id = %(id)s and m.index = %(index)s and m.deletes_at > now() and w.erased_at is null;
