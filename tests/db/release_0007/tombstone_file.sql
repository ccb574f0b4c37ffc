-- Mark one file for deletion now: it was delivered once, as ordered.
update media m set tombstoned_at = now(), deletes_at = least(m.deletes_at, date_trunc('second', now()))
where m.generation_id = %(id)s and m.index = %(index)s and m.deleted_at is null
returning m.generation_id, m.index, m.key;
