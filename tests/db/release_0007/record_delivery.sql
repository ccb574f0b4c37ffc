-- What an attempt came to. Nothing changes if it had been given up for lost, and another was begun.
update deliveries set
    state = %(state)s::delivery_state,
    last_status = %(status)s,
    last_error = %(error)s,
    last_headers = %(headers)s,
    last_duration_ms = %(duration_ms)s,
    last_response = %(response)s,
    next_attempt_at = case when %(state)s = 'pending'
        then now() + make_interval(secs => %(delay_seconds)s) else next_attempt_at end,
    ended_at = case when %(state)s <> 'pending' then now() end
where id = %(id)s and attempts = %(attempts)s and state = 'pending';
