-- Which of these keys belong to a file that is kept.
select key from media where key = any(%(keys)s) and deleted_at is null;
