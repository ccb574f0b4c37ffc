-- Workspaces, keys, money, generations, media.

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'restrict_violation';
end $$;

create table workspaces (
    id bigint generated always as identity primary key,
    name text not null unique check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    -- Limits of its own; null: the setting.
    image_rpm integer check (image_rpm > 0),
    video_rpm integer check (video_rpm > 0),
    concurrency integer check (concurrency > 0),
    -- The longest retention that its requests may ask for.
    retention_max_seconds integer check (retention_max_seconds > 0),
    erased_at timestamptz,
    created_at timestamptz not null default now()
);

create table api_keys (
    id bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    name text not null check (length(name) between 1 and 100),
    -- Of the key itself only this is kept.
    sha256 bytea not null unique check (length(sha256) = 32),
    prefix text not null,
    last_four text not null,
    -- What the key may spend in all, in nano-dollars; null: no cap. Holds count until they are released.
    spend_cap_nanos bigint check (spend_cap_nanos >= 0),
    spent_nanos bigint not null default 0 check (spent_nanos >= 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
create index api_keys_by_workspace on api_keys (workspace_id);

-- One row a workspace: what it may spend and what it has under way. Its row lock orders submissions.
create table accounts (
    workspace_id bigint primary key references workspaces,
    available_nanos bigint not null default 0 constraint available_never_negative check (available_nanos >= 0),
    held_nanos bigint not null default 0 constraint held_never_negative check (held_nanos >= 0),
    in_flight integer not null default 0 constraint in_flight_never_negative check (in_flight >= 0),
    -- A window is a minute of the database's clock.
    image_window_start timestamptz not null default '-infinity',
    image_window_used integer not null default 0,
    video_window_start timestamptz not null default '-infinity',
    video_window_used integer not null default 0
) with (fillfactor = 50);

create type generation_type as enum ('image', 'video');
create type generation_state as enum ('queued', 'running', 'unknown', 'completed', 'failed', 'canceled');

create table generations (
    id text primary key check (id ~ '^req-[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    workspace_id bigint not null references workspaces,
    api_key_id bigint references api_keys,
    type generation_type not null,
    model text not null,
    -- What the backend is asked for, checked and with defaults filled in; null once erased.
    request jsonb,
    -- SHA-256 of the call and its body as it came, by which a repeated request is known.
    body_sha256 bytea not null,
    -- The price, frozen at submission.
    billable_unit text not null,
    unit_price_nanos bigint not null check (unit_price_nanos >= 0),
    quantity integer not null check (quantity > 0),
    held_nanos bigint not null check (held_nanos >= 0),
    -- What was charged, set once with the end; thousandths of a unit.
    charged_nanos bigint check (charged_nanos between 0 and held_nanos),
    charged_thousandths integer,
    state generation_state not null,
    -- Whoever holds the token may write; a runner that lost its lease holds a token that is no longer here.
    run_token uuid,
    lease_until timestamptz,
    attempts integer not null default 0,
    deadline timestamptz not null,
    -- Which binding is in use, when its backend was last called, and the job it gave us.
    binding integer not null default 0,
    submitted_at timestamptz,
    handle jsonb,
    progress real check (progress between 0 and 1),
    -- When the reconciler is to look at it again, where no runner has it.
    wake_at timestamptz,
    cancel_requested_at timestamptz,
    error_code text,
    error_message text,
    -- Nobody knows of it yet: an image whose client left before its answer, a video that nobody asked about.
    unseen boolean not null default false,
    retention_seconds integer not null check (retention_seconds > 0),
    -- False: delivered once, and deleted after the first complete download.
    is_stored boolean not null default true,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    deletes_at timestamptz,
    constraint runner_has_lease check ((run_token is null) = (lease_until is null)),
    constraint queued_has_no_runner check (state <> 'queued' or run_token is null),
    constraint end_is_whole check (
        (state in ('completed', 'failed', 'canceled')) = (finished_at is not null)
        and (finished_at is null) = (charged_nanos is null)
        and (finished_at is null or run_token is null)
    ),
    constraint completed_has_media check ((state = 'completed') = (deletes_at is not null)),
    constraint failure_has_error check ((state in ('failed', 'canceled')) = (error_code is not null))
);
create index generations_by_workspace on generations (workspace_id, id desc);
-- A repeated request looks for its earlier attempt.
create index generations_by_body on generations (api_key_id, body_sha256, created_at);
-- Prompts of generations that made nothing go when their retention is over.
create index generations_unfulfilled on generations (finished_at)
    where state in ('failed', 'canceled') and request is not null;
-- The reconciler looks only at what is under way.
create index generations_under_way on generations (lease_until) where state in ('queued', 'running', 'unknown');

create function refuse_backward_state() returns trigger language plpgsql as $$
begin
    raise exception 'generation % has ended as %: it cannot become %', old.id, old.state, new.state
        using errcode = 'restrict_violation';
end $$;
create trigger states_only_move_forward before update of state on generations for each row
    when (old.state in ('completed', 'failed', 'canceled') and new.state <> old.state)
    execute function refuse_backward_state();

create table media (
    generation_id text not null references generations,
    index integer not null check (index >= 0),
    key text not null unique,
    mime_type text not null,
    size_bytes bigint not null check (size_bytes > 0),
    sha256 bytea not null check (length(sha256) = 32),
    width integer not null check (width > 0),
    height integer not null check (height > 0),
    duration_seconds numeric(10, 3),
    fps numeric(8, 3),
    has_sound boolean,
    deletes_at timestamptz not null,
    -- Deletion: marked, then done and seen to be done. The row stays as its receipt, without a prompt.
    tombstoned_at timestamptz,
    deleted_at timestamptz,
    primary key (generation_id, index),
    constraint deleted_after_tombstone check (deleted_at is null or tombstoned_at is not null)
);
-- The sweeper finds what is due without a look at what is kept.
create index media_due on media (deletes_at) where deleted_at is null;

create table idempotency_keys (
    workspace_id bigint not null references workspaces,
    key text not null check (length(key) between 1 and 255),
    body_sha256 bytea not null,
    generation_id text not null references generations,
    created_at timestamptz not null default now(),
    primary key (workspace_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- Double entry: each transfer moves nano-dollars between four accounts and sums to zero.
--   fund    funding -> available        an operator adds (or takes back) credit
--   hold    available -> held           a submission sets its full price aside
--   settle  held -> revenue, available  the end: capture what was delivered, release the rest
create table transfers (
    id bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    kind text not null check (kind in ('fund', 'hold', 'settle')),
    generation_id text references generations,
    funding_nanos bigint not null default 0,
    available_nanos bigint not null default 0,
    held_nanos bigint not null default 0,
    revenue_nanos bigint not null default 0,
    reason text,
    created_at timestamptz not null default now(),
    constraint sums_to_zero check (funding_nanos + available_nanos + held_nanos + revenue_nanos = 0),
    constraint each_kind_moves_its_accounts check (
        case kind
            when 'fund' then held_nanos = 0 and revenue_nanos = 0 and generation_id is null and reason is not null
            when 'hold' then funding_nanos = 0 and revenue_nanos = 0 and held_nanos >= 0 and generation_id is not null
            else funding_nanos = 0 and held_nanos <= 0 and revenue_nanos >= 0 and available_nanos >= 0
                 and generation_id is not null
        end)
);
-- A generation is held once, and its hold resolves once.
create unique index transfers_once on transfers (generation_id, kind) where generation_id is not null;
create index transfers_by_workspace on transfers (workspace_id, id);
create trigger transfers_append_only before update or delete on transfers
    for each row execute function refuse_change();
create trigger transfers_no_truncate before truncate on transfers execute function refuse_change();

-- The same ledger as lines, one account each.
create view postings as
    select t.id as transfer_id, t.workspace_id, line.account, line.amount_nanos, t.created_at
    from transfers t
    cross join lateral (values
        ('funding', t.funding_nanos), ('available', t.available_nanos),
        ('held', t.held_nanos), ('revenue', t.revenue_nanos)
    ) as line (account, amount_nanos)
    where line.amount_nanos <> 0;

create table daily_costs (
    workspace_id bigint not null references workspaces,
    date date not null,
    cost_nanos bigint not null check (cost_nanos >= 0),
    primary key (workspace_id, date)
);

-- The result of the newest check of the books: one row.
create table books_check (
    is_newest boolean primary key default true check (is_newest),
    problems text[] not null,
    checked_at timestamptz not null default now()
);
