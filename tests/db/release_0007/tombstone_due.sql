-- Mark files that are due for deletion, oldest first; and again those that were marked a minute ago and are still there.
-- By row address: joined by key, the whole table would be read as soon as the planner expects many rows.
update media set tombstoned_at = now()
where ctid = any (array(
    select ctid from media
    where deleted_at is null and deletes_at <= now()
      and (tombstoned_at is null or tombstoned_at < now() - interval '60 s')
    order by deletes_at limit %(limit)s
    for update skip locked
))
returning generation_id, index, key;
