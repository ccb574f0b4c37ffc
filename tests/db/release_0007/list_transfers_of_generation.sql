-- What the ledger has of a workspace's generation: its hold, and how that was settled.
select t.id, t.kind, t.available_nanos, t.held_nanos, t.revenue_nanos, t.created_at
from transfers t
where t.generation_id = %(id)s and t.workspace_id = %(workspace_id)s
order by t.id;
