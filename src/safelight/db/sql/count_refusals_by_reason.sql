-- How many requests of a workspace were refused from one UTC date to another, by the reason, the most frequent first.
select reason, sum(count)::bigint as count
from daily_refusals
where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
  and model = coalesce(%(model)s::text, model)
  and type = coalesce(%(type)s::generation_type, type)
  and coalesce(api_key_id, 0) = coalesce(%(key)s::bigint, api_key_id, 0) -- keys' numbers begin with 1
group by reason
order by 2 desc, 1;
