-- Events of workspaces, who is told of them, and how that went.

-- Where the end of this generation is told; null: nowhere but at the workspace's endpoints.
alter table generations add column webhook_url text;

-- Since when the balance has been below the threshold, as far as submissions saw; null: it is not.
alter table accounts add column low_since timestamptz;

create table webhook_endpoints (
    id bigint generated always as identity primary key,
    workspace_id bigint not null references workspaces,
    -- Null: the addresses that requests name. One row a workspace, for the secret they are signed with.
    url text,
    -- Null: every type.
    event_types text[] check (cardinality(event_types) > 0),
    secret text not null check (secret ~ '^whsec_'),
    -- While the secret is being changed, the one before it signs as well.
    previous_secret text check (previous_secret ~ '^whsec_'),
    previous_until timestamptz,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    disabled_reason text,
    constraint previous_ends check ((previous_secret is null) = (previous_until is null)),
    constraint disabled_with_reason check ((disabled_at is null) = (disabled_reason is null))
);
create index webhook_endpoints_by_workspace on webhook_endpoints (workspace_id);
create unique index webhook_endpoints_one_for_requests on webhook_endpoints (workspace_id) where url is null;

-- What happened, where somebody wants to know. The id begins with its milliseconds, so that ids sort by time.
create table events (
    id text primary key
        default 'evt_' || lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
                       || right(replace(gen_random_uuid()::text, '-', ''), 20),
    workspace_id bigint not null references workspaces,
    generation_id text references generations on delete cascade,
    type text not null check (type ~ '^[a-z_]+[.][a-z_]+$'),
    -- What cannot be looked up when the event is sent. A generation can: its links are made then.
    payload jsonb not null,
    created_at timestamptz not null default now()
);
-- A generation's end is told once.
create unique index events_once on events (generation_id, type) where generation_id is not null;
create index events_by_age on events (created_at);

create type delivery_state as enum ('pending', 'delivered', 'failed');

create table deliveries (
    id bigint generated always as identity primary key,
    event_id text not null references events on delete cascade,
    endpoint_id bigint not null references webhook_endpoints on delete cascade,
    -- The address that the request named; null: the endpoint's.
    url text,
    -- Deliveries of one lane wait for each other, and for nobody else: an endpoint, or a host that requests name.
    lane text not null,
    state delivery_state not null default 'pending',
    -- Attempts begun. The number is what an attempt may write with: one that was given up holds an old number.
    attempts integer not null default 0,
    -- When to begin the next one; while one is under way, when it counts as lost.
    next_attempt_at timestamptz not null default now(),
    last_attempt_at timestamptz,
    -- Of the last attempt: the HTTP status, if there was an answer, and what went wrong, if anything did.
    last_status integer,
    last_error text,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint ended_is_not_pending check ((state = 'pending') = (ended_at is null))
) with (fillfactor = 80);
create index deliveries_due on deliveries (lane, next_attempt_at) where state = 'pending';
create index deliveries_by_event on deliveries (event_id);
create index deliveries_by_endpoint on deliveries (endpoint_id, id);

-- Puts an event and its deliveries on record, on the caller's transaction, and wakes the workers once it commits.
-- Does nothing where nobody listens.
create function announce(
    told_workspace_id bigint, told_type text, told_generation_id text, told_payload jsonb, request_url text
) returns void language plpgsql as $$
begin
    if not exists (select from webhook_endpoints where workspace_id = told_workspace_id) then
        return;
    end if;
    with endpoint_listener as (
        select e.id as endpoint_id, null::text as url, e.id::text as lane from webhook_endpoints e
        where e.workspace_id = told_workspace_id and e.url is not null and e.disabled_at is null
          and (e.event_types is null or told_type = any (e.event_types))
        for key share -- one that is being deleted is not told, and does not fail the caller
    ), request_listener as (
        select e.id as endpoint_id, request_url as url,
            e.id || ' ' || substring(request_url from '^[a-z]+://[^/]+') as lane
        from webhook_endpoints e
        where e.workspace_id = told_workspace_id and e.url is null and request_url is not null
        for key share
    ), listener as (
        select * from endpoint_listener union all select * from request_listener
    ), event as (
        insert into events (workspace_id, generation_id, type, payload)
        select told_workspace_id, told_generation_id, told_type, told_payload
        where exists (select from listener)
        returning id
    )
    insert into deliveries (event_id, endpoint_id, url, lane)
    select event.id, listener.endpoint_id, listener.url, listener.lane from event cross join listener;
    if found then
        perform pg_notify('deliveries', '');
    end if;
end $$;

-- Whichever statement ends a generation tells it in the same commit: none can forget to.
create function announce_end() returns trigger language plpgsql as $$
begin
    perform announce(new.workspace_id, 'generation.' || new.state, new.id, '{}', new.webhook_url);
    return null;
end $$;
create trigger ends_are_announced after update of state on generations for each row
    when (new.state in ('completed', 'failed', 'canceled') and old.state not in ('completed', 'failed', 'canceled'))
    execute function announce_end();

create function announce_low_balance() returns trigger language plpgsql as $$
begin
    perform announce(
        new.workspace_id, 'balance.low', null, jsonb_build_object('available_nanos', new.available_nanos), null);
    return null;
end $$;
create trigger low_balances_are_announced after update of low_since on accounts for each row
    when (old.low_since is null and new.low_since is not null)
    execute function announce_low_balance();
