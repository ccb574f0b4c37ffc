-- How long the delivery waits that is due for longest, 0 where none is due; and how many endpoints are disabled.
select coalesce((select extract(epoch from now() - min(next_attempt_at)) from deliveries
                 where state = 'pending' and next_attempt_at <= now()), 0)::float8 as oldest_seconds,
    (select count(*) from webhook_endpoints where disabled_at is not null) as disabled;
