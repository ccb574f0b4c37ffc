-- What each process told of itself last, whether its session with PostgreSQL stands (`be_present`), and what it runs.
with present as materialized (
    select lpad(to_hex(objid::bigint), 8, '0') as runner from pg_locks
    where locktype = 'advisory' and classid = 1399874375 and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())
), held as materialized (
    select right(run_token::text, 8) as runner, count(*) as held,
        count(*) filter (where lease_until < now()) as overdue
    from generations
    where state in ('running', 'unknown') and substr(run_token::text, 15, 1) = '8'
    group by 1
)
select runner, f.kind, f.host, f.pid, f.started_at, f.told_at, f.facts, p.runner is not null as is_present,
    coalesce(h.held, 0) as held, coalesce(h.overdue, 0) as overdue,
    extract(epoch from now() - f.told_at)::float8 as silent_seconds
from process_facts f
full join present p using (runner)
full join held h using (runner)
order by f.kind, f.host, f.pid, runner;
