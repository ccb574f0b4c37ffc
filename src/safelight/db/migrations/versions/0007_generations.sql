-- The way in that a request took, and the count of what is made for end users. The release before works on this too: it
-- leaves the first empty, and what it ends is counted. A table alone, and nothing walks through it, so that the lock stands
-- for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table generations
    -- 'v2', 'openai', 'mcp' or 'dashboard'. Null: it is not known.
    add column if not exists way_in text;

create or replace function count_end_user() returns trigger language plpgsql as $$
begin
    insert into daily_end_users as u
        (workspace_id, date, type, model, end_user, completed, charged_thousandths, cost_nanos, failed)
    values (new.workspace_id, (new.finished_at at time zone 'UTC')::date, new.type, new.model, new.end_user,
        (new.state = 'completed')::int, coalesce(new.charged_thousandths, 0), coalesce(new.charged_nanos, 0),
        (new.state <> 'completed')::int)
    on conflict on constraint daily_end_users_once do update set
        completed = u.completed + excluded.completed,
        charged_thousandths = u.charged_thousandths + excluded.charged_thousandths,
        cost_nanos = u.cost_nanos + excluded.cost_nanos,
        failed = u.failed + excluded.failed;
    return null;
end $$;
-- By its name it comes after ends_are_counted, so that the rows of a day's usage and of its end users are locked in one order.
create or replace trigger ends_are_counted_by_end_user after update of state on generations for each row
    when (new.end_user is not null
        and new.state in ('completed', 'failed', 'canceled') and old.state not in ('completed', 'failed', 'canceled'))
    execute function count_end_user();
