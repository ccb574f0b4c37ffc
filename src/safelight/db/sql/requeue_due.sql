-- Make ready for a new runner: generations whose runner has been silent past its lease, and those it is time to look at.
update generations set
    state = case when state = 'unknown' then state else 'queued' end,
    run_token = null, lease_until = null,
    wake_at = now() + interval '60 s' -- should its job be lost
where id in (
    select id from generations
    where state in ('queued', 'running', 'unknown')
      and (lease_until < now() or (run_token is null and wake_at <= now()))
    order by id limit 500
    for update skip locked
)
returning id, model;
