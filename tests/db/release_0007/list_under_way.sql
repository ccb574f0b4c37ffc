-- Generations under way of all workspaces, oldest first: where each stands, who has it, and when it is looked at again.
select g.id, w.name as workspace, g.type::text as type, g.model, g.state::text as state, g.progress, g.attempts, g.tries,
    g.created_at, g.submitted_at, g.deadline, g.lease_until, g.wake_at, g.cancel_requested_at,
    case when substr(g.run_token::text, 15, 1) = '8' then right(g.run_token::text, 8) end as runner,
    case when g.named_at = g.submitted_at then g.connection end as connection, g.backend_stage, g.backend_place,
    case when w.erased_at is null then g.backend_reports -> -1 ->> 'outcome' end as last_outcome,
    case when w.erased_at is null then g.backend_reports -> -1 ->> 'detail' end as last_detail
from generations g join workspaces w on w.id = g.workspace_id
where g.state in ('queued', 'running', 'unknown')
  and (%(state)s::text is null or g.state::text = %(state)s)
  and (%(workspace)s::text is null or w.name = %(workspace)s)
  and (not %(is_stuck)s or g.deadline < now() or g.lease_until < now())
order by g.id limit %(most)s;
