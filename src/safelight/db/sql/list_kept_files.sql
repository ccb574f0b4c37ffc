-- Files of media that are kept and not due, soonest first: what a backup takes of the store. For a database of any revision.
select key, sha256 from media where deleted_at is null and deletes_at > now() order by deletes_at;
