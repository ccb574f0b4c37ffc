-- End a generation, once, for the live runner: state, media, capture of what was delivered, release of the rest.
-- No row comes back, and nothing changes, if the run token is no longer the live one.
with ended as (
    update generations set
        state = %(state)s::generation_state,
        run_token = null, lease_until = null,
        -- Whether its process lives to see the answer arrive (`find_earlier_attempt`).
        ended_by = case when type = 'image' then run_token end,
        charged_nanos = %(charged_nanos)s,
        charged_thousandths = %(charged_thousandths)s,
        error_code = %(error_code)s,
        error_message = %(error_message)s,
        backend_reports = add_report(backend_reports, %(report)s),
        -- A video is seen once somebody asks about it. One who waits for an image has given up if the database comes to
        -- this statement late: it was sent so many seconds after the image was accepted.
        unseen = unseen or (type = 'image' and coalesce(
            %(unseen)s or now() > created_at + make_interval(secs => %(sent_after_seconds)s + 3), false)),
        finished_at = now(),
        progress = case when %(state)s = 'completed' then 1 else progress end,
        cost_nanos = %(cost_nanos)s,
        seed = %(seed)s,
        deletes_at = case when %(state)s = 'completed'
            then date_trunc('second', now()) + make_interval(secs => retention_seconds) end
    where id = %(id)s and run_token = %(run_token)s and state in ('running', 'unknown')
    returning id, type, model, workspace_id, api_key_id, held_nanos, charged_nanos, charged_thousandths,
        created_at, submitted_at, finished_at, deletes_at, is_stored, unseen
), account as (
    update accounts a set
        held_nanos = a.held_nanos - e.held_nanos,
        available_nanos = a.available_nanos + e.held_nanos - e.charged_nanos,
        in_flight = a.in_flight - 1
    from ended e where a.workspace_id = e.workspace_id
    returning a.workspace_id
), capped_key as (
    update api_keys k set spent_nanos = greatest(k.spent_nanos - (e.held_nanos - e.charged_nanos), 0)
    from ended e join account using (workspace_id) -- the account is locked first, as `submit` does it
    where k.id = e.api_key_id and k.spend_cap_nanos is not null and e.held_nanos > e.charged_nanos
), freed as (
    -- A failure of ours uses up no idempotency key, unless a backend may hold the job: then none is to be given another.
    delete from idempotency_keys k
    using ended e join account using (workspace_id) -- likewise
    where k.workspace_id = e.workspace_id and k.generation_id = e.id
      and k.created_at = e.created_at -- written in one transaction; there is an index by time
      and %(frees_key)s and (e.submitted_at is null or not %(may_be_made)s)
), settlement as (
    insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos, revenue_nanos)
    select workspace_id, 'settle', id, held_nanos - charged_nanos, -held_nanos, charged_nanos from ended
), lost as (
    -- What a backend bills though nobody is charged for it. An order that was withdrawn left its loss with that.
    insert into losses (generation_id, workspace_id, type, model, connection, upstream_model, reason, cost_nanos, request_id)
    select e.id, e.workspace_id, e.type, e.model, l.connection, l.upstream_model, l.reason, l.cost_nanos, l.request_id
    from ended e cross join jsonb_to_record(%(loss)s::jsonb) as l (
        connection text, upstream_model text, reason text, cost_nanos bigint, request_id text)
    where %(loss)s::jsonb is not null and e.submitted_at is not null
), cost as (
    -- For nodes of the release before: their books read it, ours read daily_usage. The next migration drops it.
    insert into daily_costs (workspace_id, date, cost_nanos)
    select workspace_id, (now() at time zone 'UTC')::date, charged_nanos from ended where charged_nanos > 0
    on conflict (workspace_id, date) do update set cost_nanos = daily_costs.cost_nanos + excluded.cost_nanos
), files as (
    insert into media (generation_id, index, key, mime_type, size_bytes, sha256,
                       width, height, duration_seconds, fps, has_sound, deletes_at)
    select e.id, f.index, f.key, f.mime_type, f.size_bytes, decode(f.sha256, 'hex'),
           f.width, f.height, f.duration_seconds, f.fps, f.has_sound, e.deletes_at
    from ended e
    cross join jsonb_to_recordset(%(media)s) as f (
        index integer, key text, mime_type text, size_bytes bigint, sha256 text,
        width integer, height integer, duration_seconds numeric, fps numeric, has_sound boolean)
    where e.deletes_at is not null
)
select charged_nanos, charged_thousandths, created_at, finished_at, deletes_at, is_stored, unseen,
    -- Only videos have anybody who listens; a notification makes commits wait for each other.
    case when type = 'video' then pg_notify('safelight', 'changed:' || id)::text end as notified
from ended;
