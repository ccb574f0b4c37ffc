-- Take generations from runners that have been silent past their lease, for new runners to claim.
update generations set
    state = case when state = 'unknown' then state else 'queued' end,
    run_token = null, lease_until = null
where id in (
    select id from generations
    where state in ('running', 'unknown') and lease_until < now()
    order by lease_until limit 500
    for update skip locked
)
returning id, model;
