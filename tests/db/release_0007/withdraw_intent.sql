-- Record that the backend certainly did not take the job, or that its job made nothing, and what it said: nobody holds a
-- job of it now, so nothing of it is unknown. `tries` is how many orders came to nothing so far, for whoever runs it
-- next; `loss` is what the backend bills all the same: once, though a runner that did not hear of its commit says it
-- again. Only for the live runner.
with standing as (
    select id, submitted_at is not null as is_on_record from generations
    where id = %(id)s and run_token = %(run_token)s
    for update
), withdrawn as (
    update generations g set
        submitted_at = null, handle = null, state = 'running', tries = %(tries)s,
        backend_stage = null, backend_place = null,
        backend_reports = case when s.is_on_record
            then add_report(g.backend_reports, %(report)s) else g.backend_reports end
    from standing s where g.id = s.id
    returning g.id, g.workspace_id, g.type, g.model, s.is_on_record
), lost as (
    insert into losses (generation_id, workspace_id, type, model, connection, upstream_model, reason, cost_nanos, request_id)
    select w.id, w.workspace_id, w.type, w.model, l.connection, l.upstream_model, l.reason, l.cost_nanos, l.request_id
    from withdrawn w cross join jsonb_to_record(%(loss)s::jsonb) as l (
        connection text, upstream_model text, reason text, cost_nanos bigint, request_id text)
    where %(loss)s::jsonb is not null and w.is_on_record
)
select from withdrawn;
