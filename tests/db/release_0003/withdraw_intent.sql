-- Record that the backend certainly did not take the job, and what it said; only for the live runner.
update generations set submitted_at = null, backend_reports = add_report(backend_reports, %(report)s)
where id = %(id)s and run_token = %(run_token)s;
