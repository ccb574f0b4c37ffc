-- The segment that the next one continues.
select number, last_id, sha256 from archives order by number desc limit 1;
