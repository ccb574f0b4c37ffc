-- Ask for a generation's cancellation, and tell its runner. The state it is in comes back.
with asked as (
    update generations set cancel_requested_at = coalesce(cancel_requested_at, now())
    where id = %(id)s and workspace_id = %(workspace_id)s and type = %(type)s::generation_type
      and state in ('queued', 'running', 'unknown')
    returning id, run_token is not null as has_runner
)
select has_runner, pg_notify('safelight', 'cancel:' || id)::text as notified from asked;
