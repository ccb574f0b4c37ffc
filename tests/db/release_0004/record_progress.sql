-- Record how far runs are; only for live runners.
with moved as (
    update generations g set progress = greatest(g.progress, r.progress) -- a new runner starts over; what was shown stays
    from unnest(%(ids)s::text[], %(run_tokens)s::uuid[], %(progress)s::real[]) as r (id, run_token, progress)
    where g.id = r.id and g.run_token = r.run_token
    returning g.id
)
select pg_notify('safelight', 'changed:' || id)::text from moved;
