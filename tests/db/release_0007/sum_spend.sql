-- What a workspace spent from one UTC date to another: in all, by what is asked for, by day, and by both for a chart.
-- Names are in order of their cost. Those past a limit are one row of place 0, so that the rows of each kind add up to all.
-- The name '' is what had no key, or no end user: of that last, what is left of a day's use once end users are taken away.
with used as (
    select date, type, completed, failed, charged_thousandths, cost_nanos,
        case %(by)s::text when 'model' then model when 'key' then coalesce(api_key_id::text, '')
            when 'type' then type::text else '' end as name
    from daily_usage
    where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s and %(end_user)s::text is null
      and (%(model)s::text is null or model = %(model)s::text)
      and (%(type)s::generation_type is null or type = %(type)s::generation_type)
      and (%(key)s::bigint is null or coalesce(api_key_id, 0) = %(key)s::bigint) -- keys' numbers begin with 1
    union all
    select date, type, line.sign * completed, line.sign * failed, line.sign * charged_thousandths,
        line.sign * cost_nanos,
        case %(by)s::text when 'model' then model when 'type' then type::text else line.name end
    from daily_end_users u cross join lateral (values (u.end_user, 1), ('', -1)) as line (name, sign)
    where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
      and case when %(end_user)s::text is null then %(by)s::text = 'end_user'
          else end_user = %(end_user)s::text and line.sign = 1 end
      and (%(model)s::text is null or model = %(model)s::text)
      and (%(type)s::generation_type is null or type = %(type)s::generation_type)
), summed as materialized (
    -- Few rows beside those of each model and key: the rest is added up from these.
    select date, name, type, sum(completed)::bigint as completed, sum(failed)::bigint as failed,
        sum(charged_thousandths)::bigint as charged_thousandths, sum(cost_nanos)::bigint as cost_nanos
    from used group by date, name, type
), places as materialized (
    select name, row_number() over (order by sum(cost_nanos) desc, sum(completed + failed) desc, name) as place
    from summed group by name having sum(completed + failed) <> 0 or sum(cost_nanos) <> 0
), placed as (
    select s.*, case when p.place <= %(most)s then p.place else 0 end as listed,
        case when p.place <= %(most_series)s then p.place else 0 end as charted
    from summed s join places p using (name)
)
select case grouping(date, listed, charted) when 7 then 'all' when 5 then 'name' when 3 then 'day' else 'series' end as kind,
    date, coalesce(listed, charted, 0)::integer as place,
    case when coalesce(listed, charted, 0) > 0 then max(name) end as name,
    case when grouping(date, listed, charted) = 7 then (select count(*) from places)
        when listed = 0 then (select count(*) from places) - %(most)s else 1 end as names,
    coalesce(sum(completed), 0)::bigint as completed, coalesce(sum(failed), 0)::bigint as failed,
    coalesce(sum(charged_thousandths) filter (where type = 'image'), 0)::bigint as image_thousandths,
    coalesce(sum(charged_thousandths) filter (where type = 'video'), 0)::bigint as second_thousandths,
    coalesce(sum(cost_nanos), 0)::bigint as cost_nanos
from placed
group by grouping sets ((), (listed), (date), (date, charted))
order by 1, 2, coalesce(listed, charted, 0) = 0, 3; -- what is left comes last
