-- The attempt that a repeated request belongs to: same key, same body, under way, or ended with nobody to tell. Nor was
-- anybody told, as far as anybody knows, where the process that was to answer ended within the minute (`be_present`).
select id from generations
where api_key_id = %(api_key_id)s and body_sha256 = %(body_sha256)s
  and created_at > now() - interval '10 minutes'
  and (finished_at is null or (state = 'completed' and (unseen or (
      finished_at > now() - interval '1 minute' and substr(ended_by::text, 15, 1) = '8'
      and right(ended_by::text, 8) not in (
          select lpad(to_hex(objid::bigint), 8, '0') from pg_locks
          where locktype = 'advisory' and classid = 1399874375 and objsubid = 2 and granted
            and database = (select oid from pg_database where datname = current_database()))))))
order by created_at desc limit 1;
