-- All that is known of a generation, for the operator; nothing of what was asked for.
select g.id, w.name as workspace, k.name as key_name, k.prefix || '...' || k.last_four as key, g.type::text as type,
    g.model, g.state::text as state, g.progress, g.attempts, g.tries, g.created_at, g.submitted_at, g.lease_until, g.wake_at,
    g.cancel_requested_at, g.deadline, g.finished_at, g.deletes_at, g.held_nanos, g.charged_nanos,
    g.cost_nanos, g.seed, g.backend_stage, g.backend_place,
    g.error_code, case when w.erased_at is null then g.error_message when g.error_code is not null then 'Erased.' end
        as error_message, g.connection, g.upstream_model, g.binding_options,
    -- Of a workspace that is being erased nothing is shown that is yet to be forgotten.
    case when w.erased_at is null then g.handle end as handle,
    case when w.erased_at is null then coalesce(g.backend_reports, '[]') else '[]' end as backend_reports,
    g.request is not null and w.erased_at is null as is_request_kept
from generations g
join workspaces w on w.id = g.workspace_id
left join api_keys k on k.id = g.api_key_id
where g.id = %(id)s;
