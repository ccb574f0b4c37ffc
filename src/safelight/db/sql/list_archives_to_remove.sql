-- Segments of which rows may be left, oldest first.
select number, key, size_bytes, sha256 from archives where removed_at is null order by number;
