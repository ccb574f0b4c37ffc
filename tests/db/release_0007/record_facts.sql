-- Keep what a process tells of itself, and forget those of which nothing was heard for long.
with silent as (
    delete from process_facts where told_at < now() - interval '10 minutes' and runner <> %(runner)s
)
insert into process_facts (runner, kind, host, pid, facts)
values (%(runner)s, %(kind)s, %(host)s, %(pid)s, %(facts)s)
on conflict (runner) do update set facts = excluded.facts, told_at = now();
