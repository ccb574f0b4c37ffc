-- Files that are kept, by kind and by when they are due: of so many at most, those due first.
select split_part(mime_type, '/', 1) as kind,
    case when tombstoned_at is not null then 'marked' when deletes_at <= now() then 'due'
        when deletes_at <= now() + interval '1 day' then 'day'
        when deletes_at <= now() + interval '7 days' then 'week' else 'later' end as due,
    count(*) as files, sum(size_bytes)::bigint as size_bytes
from (
    select mime_type, size_bytes, deletes_at, tombstoned_at from media
    where deleted_at is null and deletes_at < 'infinity'
    order by deletes_at limit %(most)s
) kept
group by 1, 2 order by 1, 2;
