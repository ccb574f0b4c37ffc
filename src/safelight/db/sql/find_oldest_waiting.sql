-- How long the first job waits in each queue; 0 where none does.
select q.queue, coalesce(extract(epoch from now() - min(e.at)), 0)::float8 as oldest_seconds
from unnest(%(queues)s::text[]) as q (queue)
left join lateral (
    select id from procrastinate_jobs where status = 'todo' and queue_name = q.queue order by id limit 1
) j on true
left join procrastinate_events e on e.job_id = j.id
group by 1;
