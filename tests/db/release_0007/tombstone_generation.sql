-- Mark a generation's files for deletion now, before their time.
with ended as (
    update generations set deletes_at = least(deletes_at, date_trunc('second', now()))
    where id = %(id)s and workspace_id = %(workspace_id)s and state = 'completed'
    returning id
)
update media m set tombstoned_at = now(), deletes_at = least(m.deletes_at, date_trunc('second', now()))
from ended e
where m.generation_id = e.id and m.deleted_at is null
returning m.generation_id, m.index, m.key;
