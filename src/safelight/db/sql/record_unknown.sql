-- The backend's answer was lost: it may hold the job. The price stays held; only for the live runner.
update generations set state = 'unknown'
where id = %(id)s and run_token = %(run_token)s and state = 'running';
