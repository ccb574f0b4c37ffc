-- Generations under way that no backend is on record to have been asked for, oldest first.
select id from generations where state in ('queued', 'running', 'unknown') and submitted_at is null order by id;
