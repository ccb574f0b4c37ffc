-- The attempt that a repeated request belongs to: same key, same body, under way or ended with nobody to tell.
select id from generations
where api_key_id = %(api_key_id)s and body_sha256 = %(body_sha256)s
  and created_at > now() - interval '10 minutes'
  and (finished_at is null or (unseen and state = 'completed'))
order by created_at desc limit 1;
