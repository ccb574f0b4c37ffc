-- Generations under way that a backend was asked for: how many have its job on record, and how many may be made or not.
select count(*) filter (where handle is not null) as with_job, count(*) filter (where handle is null) as without_job
from generations where state in ('queued', 'running', 'unknown') and submitted_at is not null;
