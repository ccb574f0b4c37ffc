-- Take jobs off their queues. One that is gone was taken off by another, who thought its worker dead.
delete from procrastinate_jobs where id = any(%(ids)s::bigint[]) and status in ('todo', 'doing');
