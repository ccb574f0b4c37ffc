-- Events in their order for those who follow them.
-- Nothing here walks through a table, so that the locks stand for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';
-- As the foreign keys need them, in the order in which the statements of nodes take them. Without the generations: an end
-- comes from them to the events, and an event that is no generation's the other way.
lock table workspaces in share row exclusive mode;
lock table events in share row exclusive mode;

-- Workspaces whose events somebody follows, or did not long ago: theirs are on record whether or not there is an endpoint.
create table if not exists followed_workspaces (
    workspace_id bigint primary key references workspaces,
    -- The number of the newest event. Whoever tells one holds this row until its commit: numbers come to light in order.
    last_number bigint not null check (last_number > 0),
    -- Until when events are on record for those who come back.
    until timestamptz not null
) with (fillfactor = 50); -- rows are written anew with each event, and stay where they are

-- The order of a workspace's events. Numbers leave no gap but where something is no longer, or never was, on record.
create table if not exists followed_events (
    workspace_id bigint not null,
    number bigint not null,
    event_id text not null unique references events on delete cascade,
    primary key (workspace_id, number)
);

-- Puts an event on record, on the caller's transaction, for the endpoints and the followers that it has; both hear of it
-- once it commits. Its id; null, and nothing is written, where nobody listens.
create or replace function record_event(
    told_workspace_id bigint, told_type text, told_generation_id text, told_payload jsonb, request_url text
) returns text language plpgsql as $$
declare
    told_number bigint;
    told_id text;
    is_delivered boolean;
begin
    update followed_workspaces set last_number = last_number + 1
    where workspace_id = told_workspace_id and until > now()
    returning last_number into told_number;
    if told_number is null
        and not exists (select from webhook_endpoints where workspace_id = told_workspace_id) then
        return null;
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
        where told_number is not null or exists (select from listener)
        returning id
    ), delivery as (
        insert into deliveries (event_id, endpoint_id, url, lane)
        select event.id, listener.endpoint_id, listener.url, listener.lane from event cross join listener
        returning id
    )
    select (select id from event), exists (select from delivery) into told_id, is_delivered;
    if is_delivered then
        perform pg_notify('deliveries', '');
    end if;
    if told_number is not null then
        insert into followed_events (workspace_id, number, event_id) values (told_workspace_id, told_number, told_id);
        perform pg_notify('safelight', 'event:' || told_workspace_id);
    end if;
    return told_id;
end $$;

-- As before, for the triggers and for nodes of the release before.
create or replace function announce(
    told_workspace_id bigint, told_type text, told_generation_id text, told_payload jsonb, request_url text
) returns void language plpgsql as $$
begin
    perform record_event(told_workspace_id, told_type, told_generation_id, told_payload, request_url);
end $$;
