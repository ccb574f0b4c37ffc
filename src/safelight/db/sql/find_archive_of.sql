-- The segment that has an id, if any has.
select * from (
    select number, after_id, last_id, last_transfer_id, key, size_bytes, sha256, previous_sha256, generations, transfers,
        media, sums, archived_at, removed_at
    from archives where last_id >= %(id)s order by last_id limit 1
) a where after_id < %(id)s;
