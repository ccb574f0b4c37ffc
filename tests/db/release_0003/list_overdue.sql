-- Generations past their deadline that no runner has.
select id from generations
where state in ('queued', 'running', 'unknown') and deadline < now() and (run_token is null or lease_until < now())
order by id limit 500;
