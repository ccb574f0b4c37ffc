-- A workspace's costs by UTC date, for the dates on which a generation ended.
select date, sum(cost_nanos)::bigint as cost_nanos from daily_usage
where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
group by date
order by date;
