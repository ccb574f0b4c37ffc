-- Up to where the books are closed, how far the next close reaches, and whether nothing can come to light any more up to
-- there. A database that was put back from a dump counts its transactions anew: none of those noted is under way.
select transfer_id, next_transfer_id,
    pg_snapshot_xmin(pg_current_snapshot()) >= next_xid or pg_snapshot_xmax(pg_current_snapshot()) < next_xid
        as is_next_whole
from books_close;
