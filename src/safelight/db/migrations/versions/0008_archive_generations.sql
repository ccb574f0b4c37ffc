-- Generations may go where they are archived, and are added up as they go. One table's lock alone, which stands for a moment.
-- The release before deletes none. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

create or replace trigger generations_go_archived after delete on generations referencing old table as gone
    for each statement execute function sum_archived_generations();
