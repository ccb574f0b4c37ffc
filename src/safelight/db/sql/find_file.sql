-- Where files of generations are, while they are kept and their workspaces are not erased.
select asked.place, m.generation_id, m.index, m.key, m.mime_type, m.size_bytes, m.sha256, g.is_stored,
    extract(epoch from m.deletes_at)::bigint as deletes_at_unix
from unnest(%(id)s::text[], %(index)s::integer[]) with ordinality as asked (id, index, place)
join media m on m.generation_id = asked.id and m.index = asked.index
join generations g on g.id = m.generation_id
join workspaces w on w.id = g.workspace_id
where m.deletes_at > now() and w.erased_at is null;
