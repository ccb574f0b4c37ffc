-- What waits and what is in hand on each queue, and how long the oldest has.
select j.queue_name as queue, j.task_name as task, j.status::text as status, count(*) as jobs,
    extract(epoch from now() - min(e.at))::float8 as oldest_seconds
from procrastinate_jobs j
left join lateral (select min(at) as at from procrastinate_events where job_id = j.id) e on true
where j.status in ('todo', 'doing')
group by 1, 2, 3 order by 1, 2, 3 desc;
