-- Make ready for a new runner: generations whose runner has been silent past its lease, or is dead, or is absent and has
-- been silent for long; those it is time to look at; and those that wait for nothing, as their job was lost with the
-- worker that had fetched it: one that was fetched just now is about to be claimed. Where the database has just started,
-- those who hold a lease get the time to come back.
update generations set
    state = case when state = 'unknown' then state else 'queued' end,
    run_token = null, lease_until = null, wake_at = null
where id in (
    select g.id from generations g
    where g.state in ('queued', 'running', 'unknown')
      and (g.lease_until < now() and pg_postmaster_start_time() < now() - make_interval(secs => %(grace_seconds)s)
           or right(g.run_token::text, 8) = any(%(dead)s::text[])
           or right(g.run_token::text, 8) = any(%(absent)s::text[])
              and g.lease_until < now() + make_interval(secs => %(silent_seconds)s)
           or g.wake_at <= now()
           or g.run_token is null and g.wake_at is null and not exists (
               select from procrastinate_jobs j
               where j.task_name = 'run_generation' and j.args ->> 'generation_id' = g.id
                 and (j.status = 'todo' or j.status = 'doing' and j.worker_id is not null and (
                     select max(e.at) from procrastinate_events e where e.job_id = j.id and e.type = 'started'
                 ) > now() - interval '2 s')))
    order by g.id limit %(most)s
    for update skip locked
)
returning id, model;
