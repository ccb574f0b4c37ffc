-- What a workspace spent from one UTC date to another: in all, by what is asked for, by day, and by both for a chart.
-- Names are in order of their cost. Those past a limit are one row of place 0, so that the rows of each kind add up to all.
-- The name '' is what had no key, or no end user: of that last, what is left of a day's use once end users are taken away.
with used as (
    select date, type, completed, failed, charged_thousandths, cost_nanos,
        case %(by)s::text when 'model' then model when 'key' then coalesce(api_key_id::text, '')
            when 'type' then type::text else '' end as name
    from daily_usage
    where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s and %(end_user)s::text is null
      and model = coalesce(%(model)s::text, model)
      and type = coalesce(%(type)s::generation_type, type)
      and coalesce(api_key_id, 0) = coalesce(%(key)s::bigint, api_key_id, 0) -- keys' numbers begin with 1
    union all
    select date, type, line.sign * completed, line.sign * failed, line.sign * charged_thousandths,
        line.sign * cost_nanos,
        case %(by)s::text when 'model' then model when 'type' then type::text else line.name end
    from daily_end_users u cross join lateral (values (u.end_user, 1), ('', -1)) as line (name, sign)
    where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
      and case when %(end_user)s::text is null then %(by)s::text = 'end_user'
          else end_user = %(end_user)s::text and line.sign = 1 end
      and model = coalesce(%(model)s::text, model)
      and type = coalesce(%(type)s::generation_type, type)
), places as (
    select name, row_number() over (order by sum(cost_nanos) desc, sum(completed + failed) desc, name) as place
    from used group by name having sum(completed + failed) <> 0 or sum(cost_nanos) <> 0
), placed as (
    select u.*, case when p.place <= %(most)s then p.place else 0 end as listed,
        case when p.place <= %(most_series)s then p.place else 0 end as charted
    from used u join places p using (name)
)
select case grouping(date, listed, charted) when 7 then 'all' when 5 then 'name' when 3 then 'day' else 'series' end as kind,
    date, coalesce(listed, charted, 0)::integer as place,
    case when coalesce(listed, charted, 0) > 0 then max(name) end as name, count(distinct name) as names,
    coalesce(sum(completed), 0)::bigint as completed, coalesce(sum(failed), 0)::bigint as failed,
    coalesce(sum(charged_thousandths) filter (where type = 'image'), 0)::bigint as image_thousandths,
    coalesce(sum(charged_thousandths) filter (where type = 'video'), 0)::bigint as second_thousandths,
    coalesce(sum(cost_nanos), 0)::bigint as cost_nanos
from placed
group by grouping sets ((), (listed), (date), (date, charted))
order by 1, 2, coalesce(listed, charted, 0) = 0, 3; -- what is left comes last
