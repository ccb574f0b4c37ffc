-- The end user a generation is for, and what it was made from. The release before works on this too: it leaves both empty.
-- A table alone, and nothing walks through it, so that the lock stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table generations
    -- The keyed hash of the name that the request gave its end user.
    add column if not exists end_user text,
    -- The generation that this one was asked to be another take of.
    add column if not exists remixed_from text;
