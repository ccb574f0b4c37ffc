-- Send nothing more to an endpoint: what waits for it has failed.
with disabled as (
    update webhook_endpoints set disabled_at = now(), disabled_reason = %(reason)s
    where id = %(id)s and disabled_at is null
    returning id
)
update deliveries d set state = 'failed', ended_at = now(), last_error = 'endpoint_disabled'
from disabled where d.endpoint_id = disabled.id and d.state = 'pending';
