-- Where a reference image of a generation is, while its request is kept and its workspace is not erased.
select r.reference->>'key' as key, r.reference->>'mime_type' as mime_type
from generations g join workspaces w on w.id = g.workspace_id
cross join lateral (select g.request->'references'->%(index)s::integer as reference) r
where g.id = %(id)s and w.erased_at is null and r.reference is not null;
