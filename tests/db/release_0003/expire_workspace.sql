-- Make every file of a workspace due for deletion now.
update media m set deletes_at = least(m.deletes_at, date_trunc('second', now()))
from generations g
where g.id = m.generation_id and g.workspace_id = %(workspace_id)s and m.deleted_at is null;
