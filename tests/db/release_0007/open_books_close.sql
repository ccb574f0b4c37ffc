-- Note how far the first close is to reach: nothing is closed yet.
insert into books_close (transfer_id, next_transfer_id, next_xid)
select 0, coalesce(max(id), 0), pg_snapshot_xmax(pg_current_snapshot()) from transfers
on conflict (is_newest) do nothing;
