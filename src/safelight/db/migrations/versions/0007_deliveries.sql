-- What an attempt at a delivery sent, and what it was answered. The release before works on this too: it leaves the columns
-- as they are. A table alone, and nothing walks through it, so that the lock stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table deliveries
    -- Of the last attempt that was sent: its headers, as an object of texts; how long it took; and the answer's first
    -- 2 KiB as text that shows, without the endpoint's secrets. Null: nothing was sent, or nothing came back.
    add column if not exists last_headers jsonb,
    add column if not exists last_duration_ms bigint,
    add column if not exists last_response text;
