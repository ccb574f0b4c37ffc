-- Files of the archive, which are kept for good: what a backup takes of the store beside media.
select key, sha256, true as is_for_good from archives order by number;
