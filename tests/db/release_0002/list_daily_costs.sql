-- A workspace's costs by UTC date, for the dates that have any.
select date, cost_nanos from daily_costs
where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
order by date;
