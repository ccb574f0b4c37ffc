-- What the names of end users are hashed with. The release before works on this too (docs/operating.md): it leaves it empty.
-- A table alone, as for the one after it: a node that submits comes from generations to workspaces, one that is erasing the
-- other way, and whoever had both whole would wait in a circle with one of them. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table workspaces
    -- Null until there is an end user.
    add column if not exists end_user_key bytea;
