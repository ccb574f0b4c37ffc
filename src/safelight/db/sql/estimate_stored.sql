-- Bytes of media that are kept: exact for less than so many files; else as many as the index of those has entries, each
-- of the mean size of the first that are due and the last.
with first as (
    select count(*) as files, coalesce(sum(size_bytes), 0) as size_bytes from (
        select size_bytes from media
        where deleted_at is null and deletes_at < 'infinity' order by deletes_at limit %(most)s) due
), last as (
    select count(*) as files, coalesce(sum(size_bytes), 0) as size_bytes from (
        select size_bytes from media
        where deleted_at is null and deletes_at < 'infinity' order by deletes_at desc limit %(most)s) due
)
select case when first.files < %(most)s then first.size_bytes
    else (first.size_bytes + last.size_bytes) / (first.files + last.files)
        * greatest((select reltuples::bigint from pg_class where oid = 'media_due'::regclass), first.files) end::bigint
    as size_bytes
from first, last;
