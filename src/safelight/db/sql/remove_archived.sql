-- Remove a batch of a segment's rows, after an id: its generations with their files' records and their transfers. Triggers add
-- them up in the same commit. Nothing goes while the books are not closed up to there, nor what came later.
with segment as (
    select a.* from archives a where a.number = %(number)s and a.removed_at is null
), closed as (
    select c.transfer_id from books_close c, segment s where c.transfer_id >= s.last_transfer_id for key share of c
), batch as materialized (
    select g.id from segment s cross join closed cross join lateral (
        select g.id from generations g
        where g.id > greatest(s.after_id, %(after)s) and g.id <= s.last_id and g.finished_at < s.archived_at
          and not exists (
              select from transfers t where t.generation_id = g.id and t.id > s.last_transfer_id)
        order by g.id limit %(limit)s
    ) g
), posted as (
    delete from transfers where ctid = any (array(
        select t.address from batch cross join lateral (
            select t.ctid as address from transfers t where t.generation_id = batch.id
            offset 0 -- each is looked up by its key, however many the planner expects
        ) t
    ))
), files as (
    delete from media where ctid = any (array(
        select m.address from batch cross join lateral (
            select m.ctid as address from media m where m.generation_id = batch.id offset 0 -- likewise
        ) m
    ))
), gone as (
    delete from generations where ctid = any (array(
        select g.address from batch cross join lateral (
            select g.ctid as address from generations g where g.id = batch.id offset 0 -- likewise
        ) g
    ))
)
select count(*) as generations, max(id) as last_id, exists (select from closed) as is_closed from batch;
