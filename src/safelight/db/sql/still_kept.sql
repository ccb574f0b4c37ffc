-- Which of these files are kept, and marked for deletion by nobody.
select key from media where key = any(%(keys)s) and tombstoned_at is null and deletes_at > now();
