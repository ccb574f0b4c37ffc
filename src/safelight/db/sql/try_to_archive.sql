-- Whether this session alone archives from now on, until it ends or lets go.
select pg_try_advisory_lock(1399874376, 1);
