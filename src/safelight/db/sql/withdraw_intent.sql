-- Record that the backend certainly did not take the job, or that its job made nothing, and what it said: nobody holds a
-- job of it now, so nothing of it is unknown. `tries` is how many orders came to nothing so far, for whoever runs it
-- next; `loss` is what the backend bills all the same. Only for the live runner.
with withdrawn as (
    update generations set
        submitted_at = null, handle = null, state = 'running', tries = %(tries)s,
        backend_stage = null, backend_place = null,
        backend_reports = add_report(backend_reports, %(report)s)
    where id = %(id)s and run_token = %(run_token)s
    returning id, workspace_id, type, model
), lost as (
    insert into losses (generation_id, workspace_id, type, model, connection, upstream_model, reason, cost_nanos, request_id)
    select w.id, w.workspace_id, w.type, w.model, l.connection, l.upstream_model, l.reason, l.cost_nanos, l.request_id
    from withdrawn w cross join jsonb_to_record(%(loss)s::jsonb) as l (
        connection text, upstream_model text, reason text, cost_nanos bigint, request_id text)
    where %(loss)s::jsonb is not null
)
select from withdrawn;
