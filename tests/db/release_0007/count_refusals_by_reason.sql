-- How many requests of a workspace were refused from one UTC date to another, by the reason, the most frequent first.
select reason, sum(count)::bigint as count
from daily_refusals
where workspace_id = %(workspace_id)s and date between %(first)s and %(last)s
  and (%(model)s::text is null or model = %(model)s::text)
  and (%(type)s::generation_type is null or type = %(type)s::generation_type)
  and (%(key)s::bigint is null or coalesce(api_key_id, 0) = %(key)s::bigint) -- keys' numbers begin with 1
group by reason
order by 2 desc, 1;
