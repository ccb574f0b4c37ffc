-- Put a segment on record: from then on its file has what it says, and its rows may go. No row comes back if they do not add
-- up to what the file does any more, or if the books are not closed up to there.
with made as materialized (
    select id, workspace_id, coalesce(charged_nanos, 0) as charged_nanos
    from generations where id > %(after_id)s and id <= %(last_id)s
), charged as (
    select workspace_id, count(*) as generations, sum(charged_nanos) as charged_nanos from made group by workspace_id
), posted as (
    select m.workspace_id, count(*) as transfers, max(t.id) as last_transfer_id, sum(t.available_nanos) as available_nanos,
        sum(t.held_nanos) as held_nanos, sum(t.revenue_nanos) as revenue_nanos
    from made m cross join lateral (
        select * from transfers t where t.generation_id = m.id
        offset 0 -- each is looked up by its key, however many the planner expects
    ) t group by m.workspace_id
), summed as (
    select coalesce(max(p.last_transfer_id), 0) as last_transfer_id,
        jsonb_agg(jsonb_build_object(
            'workspace_id', c.workspace_id, 'generations', c.generations, 'charged_nanos', c.charged_nanos,
            'transfers', coalesce(p.transfers, 0), 'available_nanos', coalesce(p.available_nanos, 0),
            'held_nanos', coalesce(p.held_nanos, 0), 'revenue_nanos', coalesce(p.revenue_nanos, 0)
        ) order by c.workspace_id) as sums
    from charged c left join posted p using (workspace_id)
), closed as (
    select transfer_id from books_close for key share
)
insert into archives (number, after_id, last_id, last_transfer_id, key, size_bytes, sha256, previous_sha256,
    generations, transfers, media, sums)
select %(number)s, %(after_id)s, %(last_id)s, s.last_transfer_id, %(key)s, %(size_bytes)s, %(sha256)s, %(previous_sha256)s,
    %(generations)s, %(transfers)s, %(media)s, s.sums
from summed s cross join closed c
where s.sums = %(sums)s::jsonb and s.last_transfer_id = %(last_transfer_id)s and s.last_transfer_id <= c.transfer_id
returning number;
