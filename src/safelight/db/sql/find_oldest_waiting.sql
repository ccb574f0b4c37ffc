-- How long the first job waits in each queue; 0 where none does.
select q.queue, coalesce(extract(epoch from now() - oldest.at), 0)::float8 as oldest_seconds
from unnest(%(queues)s::text[]) as q (queue)
left join lateral (
    select (select min(at) from procrastinate_events where job_id = j.id) as at
    from procrastinate_jobs j where j.status = 'todo' and j.queue_name = q.queue
    order by j.id limit 1
) oldest on true;
