-- Keep leases alive. Those that do not come back are lost: somebody else has them, or they have ended.
update generations g set
    lease_until = now() + make_interval(secs => %(lease_seconds)s)
from unnest(%(ids)s::text[], %(run_tokens)s::uuid[]) as r (id, run_token)
where g.id = r.id and g.run_token = r.run_token
returning g.id, g.cancel_requested_at is not null as is_cancel_requested;
