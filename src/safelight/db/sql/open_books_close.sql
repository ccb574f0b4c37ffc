-- Note how far the first close is to reach: nothing is closed yet. The newest transfer may be in the archive.
insert into books_close (transfer_id, next_transfer_id, next_xid)
select 0, coalesce(greatest((select max(id) from transfers),
    (select last_transfer_id from archives order by number desc limit 1)), 0), pg_snapshot_xmax(pg_current_snapshot())
on conflict (is_newest) do nothing;
