-- People: their sessions, the links they come in by, what they did; requests that were refused; and what end users cost.
-- The release before works on this too (docs/operating.md): it leaves all of it empty, but for what the trigger of
-- 0007_generations.sql counts. What of these refers to keys follows in 0007_keys.sql: one table's lock at a time makes no
-- circle with nodes, which take both ways between two. Nothing here walks through a table, so that the lock stands for a
-- moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';
lock table workspaces in share row exclusive mode; -- as the foreign keys need it

-- Who is in at the dashboard. A session ends when its time is over, when its row is gone, or with its key.
create table if not exists dashboard_sessions (
    -- Of the session's secret only this is kept.
    sha256 bytea primary key check (length(sha256) = 32),
    -- Null: an operator's, who is in no workspace.
    workspace_id bigint references workspaces,
    -- What the audit log calls them.
    person text not null,
    role text not null check (role in ('read', 'generate', 'admin', 'operator')),
    user_agent text not null,
    created_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint operators_are_in_no_workspace check ((workspace_id is null) = (role = 'operator'))
);
create index if not exists dashboard_sessions_by_expiry on dashboard_sessions (expires_at);
create index if not exists dashboard_sessions_by_workspace on dashboard_sessions (workspace_id);

-- A way in that works once: whoever deletes the row is in.
create table if not exists login_links (
    sha256 bytea primary key check (length(sha256) = 32),
    workspace_id bigint references workspaces,
    person text not null,
    role text not null check (role in ('read', 'generate', 'admin', 'operator')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint operators_are_in_no_workspace check ((workspace_id is null) = (role = 'operator'))
);
create index if not exists login_links_by_expiry on login_links (expires_at);
create index if not exists login_links_by_workspace on login_links (workspace_id);

-- The requests behind daily_refusals, for some weeks: alike ones that were written together are one row with their count.
-- Nothing of what was asked for is in it, but the model.
create table if not exists refused_requests (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    workspace_id bigint not null references workspaces,
    type generation_type not null,
    model text not null,
    -- As in generations.
    way_in text,
    -- The error's code, its message, and the parameter that it names.
    reason text not null,
    message text not null check (length(message) <= 500),
    param text,
    count bigint not null check (count > 0)
);
create index if not exists refused_requests_by_workspace on refused_requests (workspace_id, id desc);
create index if not exists refused_requests_by_time on refused_requests (at);

-- What was made for a workspace's end users, by the UTC date of the end. An erased workspace has none.
create table if not exists daily_end_users (
    workspace_id bigint not null references workspaces,
    date date not null,
    type generation_type not null,
    model text not null,
    -- The keyed hash of their name, as in generations.
    end_user text not null,
    -- As in daily_usage.
    completed bigint not null default 0 check (completed >= 0),
    charged_thousandths bigint not null default 0 check (charged_thousandths >= 0),
    cost_nanos bigint not null default 0 check (cost_nanos >= 0),
    failed bigint not null default 0 check (failed >= 0),
    constraint daily_end_users_once unique (workspace_id, date, type, model, end_user)
) with (fillfactor = 80);
create index if not exists daily_end_users_by_date on daily_end_users (date);

-- What people did, for good: it outlives the workspace that it was done in.
create table if not exists audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    person text not null,
    role text not null,
    -- Null: done in no workspace.
    workspace_id bigint references workspaces,
    action text not null check (action ~ '^[a-z_]+[.][a-z_]+$'),
    -- What it was done to, by its id or name.
    target text not null,
    detail jsonb not null default '{}',
    -- Where the request came from.
    address text not null default ''
);
create index if not exists audit_log_by_workspace on audit_log (workspace_id, id desc);
create or replace trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_change();
create or replace trigger audit_log_no_truncate before truncate on audit_log execute function refuse_change();
