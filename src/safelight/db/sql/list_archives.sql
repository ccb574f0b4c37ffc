-- Segments after a number, a page of them.
select number, after_id, last_id, last_transfer_id, key, size_bytes, sha256, previous_sha256, generations, transfers, media,
    sums, archived_at, removed_at
from archives where number > %(after)s order by number limit %(limit)s;
