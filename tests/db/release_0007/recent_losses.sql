-- What was lost within the last day, by connection.
select connection, count(*) as losses, count(*) filter (where cost_nanos is null) as losses_of_unknown_cost,
    coalesce(sum(cost_nanos), 0)::bigint as lost_nanos
from losses where at > now() - interval '1 day'
group by connection order by connection;
