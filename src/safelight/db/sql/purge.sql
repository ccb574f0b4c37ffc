-- Record that files are gone, and let their generations' prompts go with them.
with gone as (
    update media set deleted_at = now()
    where deleted_at is null and ctid = any (array(
        select found.address
        from unnest(%(ids)s::text[], %(indexes)s::integer[]) as d (generation_id, index)
        cross join lateral (
            select m.ctid as address from media m
            where m.generation_id = d.generation_id and m.index = d.index
              and m.deleted_at is null and m.tombstoned_at is not null
            limit 1 -- each is looked up by its key, however many the planner expects
        ) found
    ))
    returning generation_id
), forgotten as (
    update generations set request = null, traceparent = null
    where id in (select generation_id from gone)
)
select count(*) from gone;
