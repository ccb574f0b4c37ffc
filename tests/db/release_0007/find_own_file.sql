-- Where a file of this workspace's generation is, and whether it is still kept.
select m.generation_id, m.index, m.key, m.mime_type, m.size_bytes, m.sha256, g.is_stored,
    extract(epoch from m.deletes_at)::bigint as deletes_at_unix, m.deletes_at > now() as is_kept
from media m join generations g on g.id = m.generation_id
where m.generation_id = %(id)s and m.index = %(index)s and g.workspace_id = %(workspace_id)s;
