-- Which run ended an image: its token names the process that was to answer. The release before leaves the column empty.
-- A table alone, and nothing walks through it, so that the lock stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table generations add column if not exists ended_by uuid;
