-- Mark a file that is delivered once: whoever marks it may send the last of it, and nobody else for a minute. By then it
-- is deleted, or the process that marked it is gone and the file is still there for another download.
update media set tombstoned_at = now()
where generation_id = %(id)s and index = %(index)s and deleted_at is null and deletes_at > now()
  and (tombstoned_at is null or tombstoned_at < now() - interval '60 s');
