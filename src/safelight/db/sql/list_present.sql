-- Processes whose sessions with this database stand (`be_present`).
select lpad(to_hex(objid::bigint), 8, '0') as runner from pg_locks
where locktype = 'advisory' and classid = 1399874375 and objsubid = 2 and granted
  and database = (select oid from pg_database where datname = current_database());
