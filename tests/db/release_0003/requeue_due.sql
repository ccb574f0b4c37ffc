-- Make ready for a new runner: generations whose runner has been silent past its lease, those it is time to look at,
-- and those that wait for nothing, as their job was lost with the worker that had fetched it.
update generations set
    state = case when state = 'unknown' then state else 'queued' end,
    run_token = null, lease_until = null, wake_at = null
where id in (
    select g.id from generations g
    where g.state in ('queued', 'running', 'unknown')
      and (g.lease_until < now()
           or g.wake_at <= now()
           or g.run_token is null and g.wake_at is null and not exists (
               select from procrastinate_jobs j
               where j.status = 'todo' and j.task_name = 'run_generation' and j.args ->> 'generation_id' = g.id))
    order by g.id limit 500
    for update skip locked
)
returning id, model;
