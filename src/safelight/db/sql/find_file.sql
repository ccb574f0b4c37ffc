-- Where a generation's file is, while it is kept.
select generation_id || '-' || index as name, key, mime_type, size_bytes, sha256, extract(epoch from deletes_at)::bigint as deletes_at_unix
from media
where generation_id = %(id)s and index = %(index)s and deletes_at > now();
