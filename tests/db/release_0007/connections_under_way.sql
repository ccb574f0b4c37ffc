-- How many generations under way have asked each connection.
select connection, count(*) as generations from generations
where state in ('queued', 'running', 'unknown') and submitted_at is not null and named_at = submitted_at
group by connection order by connection;
