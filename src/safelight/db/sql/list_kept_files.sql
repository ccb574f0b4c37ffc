-- Files of media that are kept and not due: what a backup takes of the store. As of any revision.
select key, sha256 from media where deleted_at is null and deletes_at > now() order by generation_id, index;
