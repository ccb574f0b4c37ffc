-- Record that the backend certainly did not take the job, or that its job made nothing, and what it said: nobody holds a
-- job of it now, so nothing of it is unknown. `tries` is how many
-- orders came to nothing so far, for whoever runs it next; only for the live runner.
update generations set
    submitted_at = null, handle = null, state = 'running', tries = %(tries)s,
    backend_reports = add_report(backend_reports, %(report)s)
where id = %(id)s and run_token = %(run_token)s;
