-- What a backend charges us for what we charge for, what it charges for that nobody pays, and what it tells of a job.
-- The release before works on this too (docs/operating.md): it leaves all of it empty.
-- Nothing here walks through a table, so that the locks stand for a moment. A migration that was ended in between runs
-- this again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';
-- In the order in which the statements of nodes take them, so that none waits for another in a circle.
lock table workspaces in share row exclusive mode;
lock table generations in access exclusive mode;

alter table generations
    -- What the order that was delivered costs us, where the backend or the catalog says it; set once with the end.
    add column if not exists cost_nanos bigint,
    -- The seed that was used, where it is known.
    add column if not exists seed bigint,
    -- Where the job stands at its backend, and its place in the queue there, where that tells them.
    add column if not exists backend_stage text,
    add column if not exists backend_place integer;

-- Orders that a backend bills, or may have billed, and that nobody is charged for. Nothing of what was asked for is in it.
create table if not exists losses (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    generation_id text not null,
    workspace_id bigint not null references workspaces,
    type generation_type not null,
    model text not null,
    connection text not null,
    upstream_model text not null,
    reason text not null check (reason in ('failed', 'canceled', 'undelivered', 'unknown')),
    -- Null: nobody says what it cost.
    cost_nanos bigint check (cost_nanos >= 0),
    -- The backend's own id of the request, to ask it by.
    request_id text
);
create index if not exists losses_by_time on losses (at);

-- What was charged, and what it cost, by the UTC date of the end, the model and the connection that made it: of what was
-- completed and whose cost is known.
create table if not exists daily_margins (
    workspace_id bigint not null references workspaces,
    date date not null,
    type generation_type not null,
    model text not null,
    connection text not null,
    completed bigint not null check (completed > 0),
    charged_nanos bigint not null,
    cost_nanos bigint not null,
    primary key (workspace_id, date, model, connection)
) with (fillfactor = 80);
create index if not exists daily_margins_by_date on daily_margins (date);

create or replace function count_margin() returns trigger language plpgsql as $$
begin
    insert into daily_margins as m
        (workspace_id, date, type, model, connection, completed, charged_nanos, cost_nanos)
    values (new.workspace_id, (new.finished_at at time zone 'UTC')::date, new.type, new.model, new.connection,
        1, new.charged_nanos, new.cost_nanos)
    on conflict (workspace_id, date, model, connection) do update set
        completed = m.completed + 1,
        charged_nanos = m.charged_nanos + excluded.charged_nanos,
        cost_nanos = m.cost_nanos + excluded.cost_nanos;
    return null;
end $$;
drop trigger if exists costs_are_counted on generations;
create trigger costs_are_counted after update of cost_nanos on generations for each row
    when (new.state = 'completed' and old.state <> 'completed' and new.cost_nanos is not null and new.connection is not null)
    execute function count_margin();
