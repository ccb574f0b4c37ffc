-- Take generations to run, each for a runner's token: those that wait, and those whose runner has been silent past its
-- lease (database time). One that has the token already was taken by this very statement, whose answer was lost.
with free as (
    select g.id, w.run_token, w.lease_seconds, w.place
    from unnest(%(id)s::text[], %(run_token)s::uuid[], %(lease_seconds)s::integer[])
        with ordinality as w (id, run_token, lease_seconds, place)
    join generations g on g.id = w.id
    where g.state in ('queued', 'running', 'unknown')
      and (g.run_token is null or g.lease_until < now() or g.run_token = w.run_token)
    -- Who has a row has the generation too, or asks for its cancellation: then the reconciler finds it. The others' claims
    -- do not wait for that.
    for update of g skip locked
)
update generations g set
    state = case when g.state = 'unknown' then g.state else 'running' end,
    run_token = f.run_token,
    lease_until = now() + make_interval(secs => f.lease_seconds),
    wake_at = null,
    attempts = g.attempts + (g.run_token is distinct from f.run_token)::integer
from free f where g.id = f.id
returning f.place, g.id, workspace_id, type::text as type, model, request, state::text as state, attempts, tries,
    submitted_at is not null as was_submitted,
    extract(epoch from now() - submitted_at)::float8 as submitted_seconds_ago,
    -- The names are those of an earlier intent where the release before recorded one: it knows a binding's place alone.
    case when named_at = submitted_at then connection end as connection, upstream_model, binding_options, binding,
    handle, cancel_requested_at is not null as is_cancel_requested, traceparent,
    billable_unit, unit_price_nanos, quantity, retention_seconds, g.run_token,
    extract(epoch from deadline - now())::float8 as remaining_seconds,
    extract(epoch from now() - created_at)::float8 as age_seconds;
