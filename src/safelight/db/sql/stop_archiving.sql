-- Let another session archive.
select pg_advisory_unlock(1399874376, 1);
