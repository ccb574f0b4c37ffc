-- Close the books up to where the next close reaches, and note how far the one after it is to reach. For the snapshot in
-- which all of it was verified: what was verified is what is added up here. What is in the archive comes with the first.
with closed as (
    update books_close set
        transfer_id = next_transfer_id, closed_at = now(),
        next_transfer_id = coalesce(greatest((select max(id) from transfers),
            (select last_transfer_id from archives order by number desc limit 1)), 0),
        next_xid = pg_snapshot_xmax(pg_current_snapshot())
    where transfer_id = %(since)s and next_transfer_id = %(up_to)s
    returning transfer_id
), verified as (
    select t.*, g.finished_at, g.type, g.model, g.api_key_id, g.state, g.charged_nanos, g.charged_thousandths
    from closed
    join transfers t on t.id > %(since)s and t.id <= %(up_to)s
    left join lateral (
        select * from generations g where g.id = t.generation_id and t.kind = 'settle' limit 1 -- each by its key
    ) g on true
), ledger as (
    insert into books_closed_accounts as c
        (workspace_id, transfers, funding_nanos, available_nanos, held_nanos, revenue_nanos, charged_nanos)
    select workspace_id, sum(transfers), sum(funding_nanos), sum(available_nanos), sum(held_nanos), sum(revenue_nanos),
        coalesce(sum(charged_nanos), 0)
    from (
        select workspace_id, 1 as transfers, funding_nanos, available_nanos, held_nanos, revenue_nanos, charged_nanos
        from verified
        union all
        select a.workspace_id, a.transfers, 0, a.available_nanos, a.held_nanos, a.revenue_nanos, 0
        from closed cross join archived_ledger a where %(since)s = 0
        union all
        select a.workspace_id, 0, 0, 0, 0, 0, a.cost_nanos
        from closed cross join archived_usage a where %(since)s = 0
    ) parts group by workspace_id
    on conflict (workspace_id) do update set
        transfers = c.transfers + excluded.transfers,
        funding_nanos = c.funding_nanos + excluded.funding_nanos,
        available_nanos = c.available_nanos + excluded.available_nanos,
        held_nanos = c.held_nanos + excluded.held_nanos,
        revenue_nanos = c.revenue_nanos + excluded.revenue_nanos,
        charged_nanos = c.charged_nanos + excluded.charged_nanos
)
insert into books_closed_usage as u
    (date, workspace_id, type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed)
select date, workspace_id, type, model, api_key_id, sum(completed), sum(charged_thousandths), sum(cost_nanos), sum(failed)
from (
    select (finished_at at time zone 'UTC')::date as date, workspace_id, type, model, api_key_id,
        (state = 'completed')::int as completed, coalesce(charged_thousandths, 0) as charged_thousandths,
        coalesce(charged_nanos, 0) as cost_nanos, (state <> 'completed')::int as failed
    from verified where kind = 'settle'
    union all
    select a.date, a.workspace_id, a.type, a.model, a.api_key_id, a.completed, a.charged_thousandths, a.cost_nanos, a.failed
    from closed cross join archived_usage a where %(since)s = 0
) parts
group by 1, 2, 3, 4, 5
on conflict on constraint books_closed_usage_once do update set
    completed = u.completed + excluded.completed,
    charged_thousandths = u.charged_thousandths + excluded.charged_thousandths,
    cost_nanos = u.cost_nanos + excluded.cost_nanos,
    failed = u.failed + excluded.failed;
