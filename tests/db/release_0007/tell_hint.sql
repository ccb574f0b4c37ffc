-- Tell whoever runs a generation that its backend says something happened to the job.
select pg_notify('safelight', 'hint:' || %(id)s::text);
