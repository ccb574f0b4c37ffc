-- The form that a key was made by. The release before works on this too: it leaves the column empty. A table alone, whose rows
-- are few, so that the lock stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

-- The key that the sender gave for making it: the same form, sent again, makes no other.
alter table api_keys add column if not exists idempotency_key text check (length(idempotency_key) <= 64);
create unique index if not exists api_keys_once on api_keys (workspace_id, idempotency_key)
    where idempotency_key is not null;
