-- Mark files that are due for deletion, oldest first; and again those that were marked a minute ago and are still there.
update media set tombstoned_at = now()
where (generation_id, index) in (
    select generation_id, index from media
    where deleted_at is null and deletes_at <= now()
      and (tombstoned_at is null or tombstoned_at < now() - interval '60 s')
    order by deletes_at limit %(limit)s
    for update skip locked
)
returning generation_id, index, key;
