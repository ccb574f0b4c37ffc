-- Generations past their deadline that no runner has, and why the last worker that had one left it, if one did.
select id, case when backend_reports -> -1 ->> 'outcome' = 'left' then backend_reports -> -1 ->> 'detail' end as why_left
from generations
where state in ('queued', 'running', 'unknown') and deadline < now() and (run_token is null or lease_until < now())
order by id limit 500;
