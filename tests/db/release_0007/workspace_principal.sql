-- A workspace as one who has no key acts in it: of that name or, without one, the oldest. Erased ones are not found.
select w.id as workspace_id, w.name as workspace, w.retention_max_seconds
from workspaces w
where w.erased_at is null and (%(name)s::text is null or w.name = %(name)s)
order by w.id limit 1;
