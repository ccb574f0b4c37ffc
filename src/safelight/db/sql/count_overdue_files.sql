-- How many files should be gone, of so many at most: due for longer than the upkeep takes, and still there.
select count(*) as files from (
    select from media
    where deleted_at is null and deletes_at < now() - make_interval(secs => %(grace_seconds)s)
    order by deletes_at limit %(most)s
) overdue;
