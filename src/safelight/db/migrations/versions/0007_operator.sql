-- Credit that is asked for twice is added once, and what each process tells of itself. The release before leaves both
-- empty. A table's lock alone, which stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';
lock table transfers in share row exclusive mode; -- as the foreign key needs it

-- Whoever asks for credit may name what they ask for: it is added once, however often it is asked for.
create table if not exists credit_references (
    reference text primary key check (length(reference) between 1 and 100),
    transfer_id bigint not null unique references transfers
);
create or replace trigger credit_references_append_only before update or delete on credit_references
    for each row execute function refuse_change();
create or replace trigger credit_references_no_truncate before truncate on credit_references
    execute function refuse_change();

-- What each process that runs now told of itself last: a row each, gone a while after its process is.
create table if not exists process_facts (
    -- As its tokens and its lock have it.
    runner text primary key check (runner ~ '^[0-9a-f]{8}$'),
    kind text not null check (kind in ('api', 'worker')),
    host text not null,
    pid integer not null,
    started_at timestamptz not null default now(),
    told_at timestamptz not null default now(),
    facts jsonb not null
);
