-- Hold the lock by which others see that this runner's process lives, for as long as this session stands. Shared: where
-- a session is made anew, PostgreSQL may not have noticed the end of the one before it. The first number is all runners'.
select pg_advisory_lock_shared(1399874375, %(runner)s::integer)::text;
