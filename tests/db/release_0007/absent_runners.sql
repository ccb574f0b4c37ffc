-- Runners that have something under way, and whose sessions have ended (`be_present`). None where this worker's own
-- session does not stand: then nothing can be told. Tokens of version 8 end with their runner; those of the release
-- before tell none.
with present as materialized (
    select lpad(to_hex(objid::bigint), 8, '0') as runner from pg_locks
    where locktype = 'advisory' and classid = 1399874375 and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())
)
select distinct right(run_token::text, 8) as runner from generations
where state in ('running', 'unknown') and substr(run_token::text, 15, 1) = '8'
  and right(run_token::text, 8) not in (select runner from present)
  and %(judge)s in (select runner from present);
