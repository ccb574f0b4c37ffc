-- Record that a segment's rows are gone.
update archives set removed_at = now() where number = %(number)s and removed_at is null;
