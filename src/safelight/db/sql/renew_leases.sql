-- Keep leases alive. Those that do not come back are lost: somebody else has them, or they have ended.
update generations g set
    lease_until = now() + make_interval(secs => %(lease_seconds)s),
    progress = coalesce(r.progress, g.progress)
from unnest(%(ids)s::text[], %(run_tokens)s::uuid[], %(progress)s::real[]) as r (id, run_token, progress)
where g.id = r.id and g.run_token = r.run_token
returning g.id;
