-- Let the prompts of generations that made nothing go, when their retention is over.
update generations set request = null
where id in (
    select id from generations
    where state in ('failed', 'canceled') and request is not null
      and finished_at < now() - make_interval(secs => %(retention_seconds)s)
    limit 1000
);
