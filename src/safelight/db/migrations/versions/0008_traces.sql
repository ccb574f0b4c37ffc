-- Where the request that submitted a generation is traced. The release before works on this too: it leaves the column empty.
-- A table alone, and nothing walks through it, so that the lock stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table generations
    -- Of the span of its submission, as W3C Trace Context writes it: ids, and whether it is kept. What comes later refers
    -- to it. It goes with the request. Null: nothing was traced.
    add column if not exists traceparent text;
