-- What a run knows of its backend is by name; what that backend said is kept; what was used and refused is counted.
-- The release before works on this too (docs/operating.md): what it writes stays, until the next migration.
-- Nothing here walks through a table, so that the locks stand for a moment; 0003_by_name_past.sql does.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';
-- In the order in which the statements of nodes take them, so that none waits for another in a circle.
lock table workspaces in share row exclusive mode;
lock table generations in access exclusive mode;
lock table api_keys in share row exclusive mode;

alter table generations
    -- The backend that an intent is for: its connection, its own name for the model, and the binding's options.
    add column connection text,
    add column upstream_model text,
    add column binding_options jsonb,
    -- The intent that these belong to, by its time. An intent of the release before has another, and only the binding's
    -- place in the catalog (column binding).
    add column named_at timestamptz,
    -- What backends said, the newest last, for the operator; gone with the request.
    add column backend_reports jsonb;
alter table generations
    add constraint named_whole check (
        (connection is null) = (upstream_model is null) and (connection is null) = (binding_options is null)
        and (connection is null) = (named_at is null)) not valid;

-- What backends said goes with the request, whichever statement lets that go, those of the release before included.
create function forget_reports() returns trigger language plpgsql as $$
begin
    new.backend_reports := null;
    return new;
end $$;
create trigger reports_go_with_requests before update of request on generations for each row
    when (new.request is null and new.backend_reports is not null)
    execute function forget_reports();

-- The newest ten reports, with one more; as they are where there is none.
create function add_report(reports jsonb, report jsonb) returns jsonb language sql immutable as $$
    select case
        when report is null then reports
        when jsonb_array_length(reports) >= 10 then reports - 0 || report
        else coalesce(reports, '[]') || report
    end
$$;

-- What a workspace used, by the UTC date of the end, the model and the key. Proven by the books.
create table daily_usage (
    workspace_id bigint not null references workspaces,
    date date not null,
    type generation_type not null,
    model text not null,
    api_key_id bigint references api_keys,
    -- Completed; how much of the billable unit was charged, in thousandths; what that cost; ended without media.
    completed bigint not null default 0 check (completed >= 0),
    charged_thousandths bigint not null default 0 check (charged_thousandths >= 0),
    cost_nanos bigint not null default 0 check (cost_nanos >= 0),
    failed bigint not null default 0 check (failed >= 0),
    constraint daily_usage_once unique nulls not distinct (workspace_id, date, type, model, api_key_id)
) with (fillfactor = 80);

-- Whichever statement ends a generation counts it in the same commit, that of the release before included.
create function count_usage() returns trigger language plpgsql as $$
begin
    insert into daily_usage as u
        (workspace_id, date, type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed)
    values (new.workspace_id, (new.finished_at at time zone 'UTC')::date, new.type, new.model, new.api_key_id,
        (new.state = 'completed')::int, coalesce(new.charged_thousandths, 0), coalesce(new.charged_nanos, 0),
        (new.state <> 'completed')::int)
    on conflict on constraint daily_usage_once do update set
        completed = u.completed + excluded.completed,
        charged_thousandths = u.charged_thousandths + excluded.charged_thousandths,
        cost_nanos = u.cost_nanos + excluded.cost_nanos,
        failed = u.failed + excluded.failed;
    return null;
end $$;
create trigger ends_are_counted after update of state on generations for each row
    when (new.state in ('completed', 'failed', 'canceled') and old.state not in ('completed', 'failed', 'canceled'))
    execute function count_usage();

-- Where counting began: no end was under way, as the table is locked, so what was settled up to this transfer is past,
-- and what is settled later is counted by the trigger. Gone once the past is counted.
create table daily_usage_began (last_transfer_id bigint not null);
insert into daily_usage_began select coalesce(max(id), 0) from transfers;

-- Requests that were refused before anything was held, by the UTC date and the reason. No row names a single request.
create table daily_refusals (
    workspace_id bigint not null references workspaces,
    date date not null,
    type generation_type not null,
    model text not null,
    api_key_id bigint references api_keys,
    -- The error's code: quota_exceeded, rate_limit, content_policy_violation.
    reason text not null,
    count bigint not null check (count > 0),
    constraint daily_refusals_once unique nulls not distinct (workspace_id, date, type, model, api_key_id, reason)
) with (fillfactor = 80);
