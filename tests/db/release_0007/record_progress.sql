-- Record how far runs are, and where their jobs stand at their backends; only for live runners.
with moved as (
    update generations g set
        progress = greatest(g.progress, r.progress), -- a new runner starts over; what was shown stays
        backend_stage = r.stage, backend_place = r.place
    from unnest(%(ids)s::text[], %(run_tokens)s::uuid[], %(progress)s::real[], %(stages)s::text[], %(places)s::integer[])
        as r (id, run_token, progress, stage, place)
    where g.id = r.id and g.run_token = r.run_token
    returning g.id
)
select pg_notify('safelight', 'changed:' || id)::text from moved;
