-- Record that files are gone, and let their generations' prompts go with them.
with gone as (
    update media m set deleted_at = now()
    from unnest(%(ids)s::text[], %(indexes)s::integer[]) as d (generation_id, index)
    where m.generation_id = d.generation_id and m.index = d.index
      and m.deleted_at is null and m.tombstoned_at is not null
    returning m.generation_id
), forgotten as (
    update generations set request = null
    where id in (select generation_id from gone)
)
select count(*) from gone;
