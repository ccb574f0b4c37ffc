-- Leave a generation to another worker, as this one cannot ask its backends. It is offered again after half of the time
-- that has gone by, a second at least and half a minute at most, so that nobody takes it over and over. Why is said once.
-- It does not count as an attempt; only for the live runner.
update generations set
    state = case when state = 'unknown' then state else 'queued' end,
    run_token = null, lease_until = null, attempts = attempts - 1,
    wake_at = least(deadline, now() + greatest(interval '1 s', least(interval '30 s', (now() - created_at) / 2))),
    backend_reports = case
        when backend_reports @> jsonb_build_array(
            jsonb_build_object('outcome', %(report)s::jsonb -> 'outcome', 'detail', %(report)s::jsonb -> 'detail'))
        then backend_reports
        else add_report(backend_reports, %(report)s) end
where id = %(id)s and run_token = %(run_token)s;
