-- Let the prompts of generations that made nothing go, when their retention is over. A batch of them, by row address.
update generations set request = null, traceparent = null
where ctid = any (array(
    select ctid from generations
    where state in ('failed', 'canceled') and request is not null
      and finished_at < now() - make_interval(secs => %(retention_seconds)s)
    order by finished_at limit 1000
    for update skip locked
));
