-- Let others attempt at once what this worker had begun and gave up at its stop.
update deliveries d set next_attempt_at = now(), last_error = 'stopped'
from unnest(%(ids)s::bigint[], %(attempts)s::integer[]) as begun (id, attempts)
where d.id = begun.id and d.attempts = begun.attempts and d.state = 'pending';
