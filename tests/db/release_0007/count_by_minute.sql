-- How many generations were asked for in each minute since an id; a minute without any is left out.
select date_trunc('minute', created_at) as minute, count(*) as generations
from generations where id >= %(since)s
group by 1 order by 1;
