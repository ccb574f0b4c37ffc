-- A workspace's keys by name or last characters, and by whether they work, in an order of one's own: a page of them, each with
-- how many there are on all pages, and with all that was charged for it.
with spent as (
    select api_key_id, sum(cost_nanos)::bigint as charged_nanos from daily_usage
    where workspace_id = %(workspace_id)s group by api_key_id
), found as (
    select k.id, w.name as workspace, k.name, k.prefix, k.last_four, k.role, k.spend_cap_nanos, k.spent_nanos,
        k.created_at, k.expires_at, k.revoked_at, k.last_used_at, coalesce(s.charged_nanos, 0) as charged_nanos,
        case when k.revoked_at is not null then 'revoked' when k.expires_at <= now() then 'expired' else 'active' end as state
    from api_keys k join workspaces w on w.id = k.workspace_id left join spent s on s.api_key_id = k.id
    where k.workspace_id = %(workspace_id)s and (%(id)s::bigint is null or k.id = %(id)s)
)
select *, count(*) over () as total from found
where (%(state)s::text is null or state = %(state)s)
  and (%(text)s::text is null or position(lower(%(text)s) in lower(name)) > 0 or last_four = %(text)s)
order by
    case when %(order)s = 'name' then lower(name) end,
    case when %(order)s = '-name' then lower(name) end desc,
    case when %(order)s = 'used' then last_used_at end nulls first,
    case when %(order)s = '-used' then last_used_at end desc nulls last,
    case when %(order)s = 'spent' then charged_nanos end,
    case when %(order)s = '-spent' then charged_nanos end desc,
    case when %(order)s = 'created' then id end,
    id desc
limit %(limit)s offset %(offset)s;
