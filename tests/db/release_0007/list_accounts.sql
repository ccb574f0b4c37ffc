-- Workspaces that are there, with their limits and accounts and what they spent since a date; those whose name has a text.
select w.id, w.name, w.created_at, w.image_rpm, w.video_rpm, w.concurrency, a.available_nanos, a.held_nanos, a.in_flight,
    w.erased_up_to is not null as is_being_erased, spent.nanos as spent_nanos
from workspaces w
join accounts a on a.workspace_id = w.id
cross join lateral (
    select coalesce(sum(cost_nanos), 0)::bigint as nanos from daily_usage
    where workspace_id = w.id and date >= %(since)s
) spent
where w.id between coalesce(%(workspace_id)s::bigint, 0) and coalesce(%(workspace_id)s::bigint, 9223372036854775807)
  and (w.erased_at is null or w.erased_up_to is not null) 
  and strpos(w.name, %(search)s) > 0
order by
    case %(sort)s when 'balance' then a.available_nanos when 'held' then a.held_nanos when 'under_way' then a.in_flight
        when 'spent' then spent.nanos when 'created' then w.id end desc nulls last,
    w.name
limit %(most)s;
