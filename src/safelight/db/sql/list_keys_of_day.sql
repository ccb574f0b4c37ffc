-- Files that are kept, of generations from after one file up to an id: one day's, a page at a time.
select generation_id, index, key from media
where (generation_id, index) > (%(after_id)s, %(after_index)s) and generation_id < %(last)s and deleted_at is null
order by generation_id, index limit 1000;
