-- How many orders of a generation came to nothing, as its backends said: one count over all of its runners.
-- The release before does not know it, and counts anew in each runner. A migration that was ended midway runs this again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table generations add column if not exists tries smallint not null default 0;
