-- What has been moved out of the tables into files, and what it added up to. The release before works on this too
-- (docs/operating.md): it leaves all of it empty. New tables and functions alone, which refer to no other, so that no
-- node waits. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

-- Segments of generations in the media store, each of all ids from after one up to another. Each names the one before it by
-- its hash, so that none can be left out or changed without its being seen.
create table if not exists archives (
    number bigint primary key check (number > 0),
    after_id text not null,
    last_id text not null unique check (last_id > after_id),
    -- Nothing that was posted later belongs to it, whatever its id.
    last_transfer_id bigint not null,
    key text not null unique,
    size_bytes bigint not null check (size_bytes > 0),
    sha256 bytea not null unique check (length(sha256) = 32),
    previous_sha256 bytea check (length(previous_sha256) = 32),
    generations bigint not null check (generations > 0),
    transfers bigint not null check (transfers >= 0),
    media bigint not null check (media >= 0),
    -- What it adds up to, an object a workspace, as its file has it.
    sums jsonb not null,
    archived_at timestamptz not null default now(),
    -- Its transaction: rows go in another, so that none goes before this is committed.
    xid xid8 not null default pg_current_xact_id(),
    -- When the last of its rows was gone.
    removed_at timestamptz
);
create index if not exists archives_to_remove on archives (number) where removed_at is null;

-- The transfers that went, by the UTC date of their posting. Whatever deletes them adds them up here, in the same commit.
create table if not exists archived_ledger (
    workspace_id bigint not null,
    date date not null,
    transfers bigint not null,
    available_nanos numeric not null,
    held_nanos numeric not null,
    revenue_nanos numeric not null,
    primary key (workspace_id, date)
) with (fillfactor = 80);

-- The generations that went, as daily_usage has them, likewise.
create table if not exists archived_usage (
    workspace_id bigint not null,
    date date not null,
    type generation_type not null,
    model text not null,
    api_key_id bigint,
    completed bigint not null,
    charged_thousandths bigint not null,
    cost_nanos bigint not null,
    failed bigint not null,
    constraint archived_usage_once unique nulls not distinct (workspace_id, date, type, model, api_key_id)
) with (fillfactor = 80);

-- The chain has no gap and no branch, and its times are the database's.
create or replace function continue_archives() returns trigger language plpgsql as $$
declare
    newest archives;
begin
    select * into newest from archives order by number desc limit 1;
    if new.number <> coalesce(newest.number, 0) + 1 or new.after_id <> coalesce(newest.last_id, '')
        or new.previous_sha256 is distinct from newest.sha256 then
        raise exception 'archive % does not continue the chain', new.number using errcode = 'restrict_violation';
    end if;
    new.archived_at := now();
    new.xid := pg_current_xact_id();
    new.removed_at := null;
    return new;
end $$;
create or replace trigger archives_continue before insert on archives for each row execute function continue_archives();

-- Of a segment on record nothing changes but that its rows are gone.
create or replace function keep_archive() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if old.removed_at is null and to_jsonb(new) - 'removed_at' = to_jsonb(old) - 'removed_at'
            and not exists (
                select from generations g join transfers t on t.generation_id = g.id
                where g.id > old.after_id and g.id <= old.last_id and t.id <= old.last_transfer_id) then
            return new;
        end if;
    end if;
    raise exception 'archives is append-only: % refused', tg_op using errcode = 'restrict_violation';
end $$;
create or replace trigger archives_append_only before update or delete on archives
    for each row execute function keep_archive();
create or replace trigger archives_no_truncate before truncate on archives execute function refuse_change();

-- Transfers are deleted only where a committed segment has them, and are added up as they go.
create or replace function sum_archived_transfers() returns trigger language plpgsql as $$
begin
    if exists (
        select from gone where not exists (
            select from (select * from archives a where a.last_id >= gone.generation_id order by a.last_id limit 1) a
            where a.after_id < gone.generation_id and gone.id <= a.last_transfer_id
              and a.xid <> pg_current_xact_id())) then
        raise exception 'transfers is append-only: DELETE of what is not archived refused'
            using errcode = 'restrict_violation';
    end if;
    insert into archived_ledger as l (workspace_id, date, transfers, available_nanos, held_nanos, revenue_nanos)
    select workspace_id, (created_at at time zone 'UTC')::date, count(*), sum(available_nanos), sum(held_nanos),
        sum(revenue_nanos)
    from gone group by 1, 2 order by 1, 2
    on conflict (workspace_id, date) do update set
        transfers = l.transfers + excluded.transfers,
        available_nanos = l.available_nanos + excluded.available_nanos,
        held_nanos = l.held_nanos + excluded.held_nanos,
        revenue_nanos = l.revenue_nanos + excluded.revenue_nanos;
    return null;
end $$;

-- Generations likewise. Those whose transfers stay, or whose files, stay too, by their foreign keys.
create or replace function sum_archived_generations() returns trigger language plpgsql as $$
begin
    if exists (
        select from gone where finished_at is null or not exists (
            select from (select * from archives a where a.last_id >= gone.id order by a.last_id limit 1) a
            where a.after_id < gone.id and gone.finished_at < a.archived_at and a.xid <> pg_current_xact_id())) then
        raise exception 'generations are kept: DELETE of what is not archived refused'
            using errcode = 'restrict_violation';
    end if;
    insert into archived_usage as u
        (workspace_id, date, type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed)
    select workspace_id, (finished_at at time zone 'UTC')::date, type, model, api_key_id,
        count(*) filter (where state = 'completed'), coalesce(sum(charged_thousandths), 0),
        coalesce(sum(charged_nanos), 0), count(*) filter (where state <> 'completed')
    from gone group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
    on conflict on constraint archived_usage_once do update set
        completed = u.completed + excluded.completed,
        charged_thousandths = u.charged_thousandths + excluded.charged_thousandths,
        cost_nanos = u.cost_nanos + excluded.cost_nanos,
        failed = u.failed + excluded.failed;
    return null;
end $$;

-- The receipt of a file goes only with its generation's.
create or replace function keep_receipts() returns trigger language plpgsql as $$
begin
    if exists (
        select from gone where deleted_at is null or not exists (
            select from (select * from archives a where a.last_id >= gone.generation_id order by a.last_id limit 1) a
            where a.after_id < gone.generation_id and gone.deleted_at < a.archived_at
              and a.xid <> pg_current_xact_id())) then
        raise exception 'media are kept as receipts: DELETE of what is not archived refused'
            using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
