-- How far generations after an id may be archived: up to the first that may not yet be, of so many at most. And that one's
-- id, with what is in its way: a word of `keeping/archive.py`.
with walked as materialized (
    select g.id, case
        when g.finished_at is null then 'under way'
        when g.finished_at >= %(ended_before)s then 'recent'
        when g.request is not null then 'request'
        when exists (select from media m where m.generation_id = g.id and m.deleted_at is null) then 'file'
        when exists (select from events v where v.generation_id = g.id) then 'event'
        when exists (select from idempotency_keys k where k.generation_id = g.id) then 'idempotency key'
        when not exists (
            -- Verified and closed: what is archived was proven before.
            select from transfers t join books_close c on t.id <= c.transfer_id
            where t.generation_id = g.id and t.kind = 'settle') then 'books'
    end as in_the_way
    from (
        select id, finished_at, request from generations where id > %(after)s and id < %(below)s order by id limit %(most)s
    ) g
), first as (
    select id, in_the_way from walked where in_the_way is not null order by id limit 1
)
select (select max(id) from walked where id < coalesce((select id from first), 'req-8')) as last_id, -- beyond every id
    (select id from first) as blocked_id, (select in_the_way from first) as in_the_way;
