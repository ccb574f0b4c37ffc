-- What the work of a node is measured by is what is new, not what is kept: the books are closed as they are verified, and
-- a workspace is erased a batch at a time. The release before works on this too (docs/operating.md).
-- Nothing here walks through a table, so that the locks stand for a moment; 0004_growth_indexes.sql does.
-- A migration that was ended in between runs this again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

-- While what a workspace had is being erased: up to which of its generations that is done. Null before and after.
alter table workspaces add column if not exists erased_up_to text;

-- Up to which transfer the books are closed: what was verified up to there is added up in the two tables below.
create table if not exists books_close (
    is_newest boolean primary key default true check (is_newest),
    transfer_id bigint not null,
    closed_at timestamptz not null default now(),
    -- How far the next close reaches. A number may be taken long before its row is seen: the next close waits until every
    -- transaction is over that had begun when this was noted, so that nothing comes to light behind it.
    next_transfer_id bigint not null,
    next_xid xid8 not null
);

-- These refer to no table: a reference takes a lock on what it refers to, and one lock at a time makes no circle.

-- The ledger up to there, by workspace, and what the generations that it settles were charged.
create table if not exists books_closed_accounts (
    workspace_id bigint primary key,
    transfers bigint not null,
    funding_nanos numeric not null,
    available_nanos numeric not null,
    held_nanos numeric not null,
    revenue_nanos numeric not null,
    charged_nanos numeric not null
);

-- The usage up to there, rebuilt from the generations, as in daily_usage.
create table if not exists books_closed_usage (
    date date not null,
    workspace_id bigint not null,
    type generation_type not null,
    model text not null,
    api_key_id bigint,
    completed bigint not null,
    charged_thousandths bigint not null,
    cost_nanos bigint not null,
    failed bigint not null,
    constraint books_closed_usage_once unique nulls not distinct (date, workspace_id, type, model, api_key_id)
);
