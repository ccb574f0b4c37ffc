-- Take a generation to run: one that waits, or one whose runner has been silent past its lease (database time).
update generations set
    state = case when state = 'unknown' then state else 'running' end,
    run_token = %(run_token)s,
    lease_until = now() + make_interval(secs => %(lease_seconds)s),
    wake_at = null,
    attempts = attempts + 1
where id = %(id)s
  and state in ('queued', 'running', 'unknown')
  and (run_token is null or lease_until < now())
returning id, workspace_id, type::text as type, model, request, state::text as state, attempts, tries,
    submitted_at is not null as was_submitted,
    extract(epoch from now() - submitted_at)::float8 as submitted_seconds_ago,
    -- The names are those of an earlier intent where the release before recorded one: it knows a binding's place alone.
    case when named_at = submitted_at then connection end as connection, upstream_model, binding_options, binding,
    handle, cancel_requested_at is not null as is_cancel_requested, traceparent,
    billable_unit, unit_price_nanos, quantity, retention_seconds, run_token,
    extract(epoch from deadline - now())::float8 as remaining_seconds,
    extract(epoch from now() - created_at)::float8 as age_seconds;
