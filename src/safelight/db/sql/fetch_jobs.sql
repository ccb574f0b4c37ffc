-- Take jobs from a queue, the oldest first: as many times as Procrastinate's own function finds one, up to so many.
with recursive fetched as (
    select 1 as number, job.* from procrastinate_fetch_job_v2(%(queues)s::varchar[], %(worker_id)s) as job
    union all
    select number + 1, job.*
    -- That it hangs on the row before is why it is called anew for each.
    from fetched cross join lateral procrastinate_fetch_job_v2(%(queues)s::varchar[], fetched.worker_id) as job
    where fetched.id is not null and number < %(most)s
)
select id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
from fetched where id is not null order by number;
