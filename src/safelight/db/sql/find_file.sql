-- Where a generation's file is, while it is kept.
select m.key, m.mime_type, m.size_bytes, m.sha256, extract(epoch from m.deletes_at)::bigint as deletes_at_unix, g.created_at
from media m join generations g on g.id = m.generation_id
where m.generation_id = %(id)s and m.index = %(index)s and m.deletes_at > now();
