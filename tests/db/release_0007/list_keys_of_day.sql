-- Files of generations from after one file up to an id, and whether they are kept: one day's, a page at a time. What is
-- gone is for the caller to leave out: to look for what is kept would be to read the index of all that is kept.
select generation_id, index, key, deleted_at is null from media
where (generation_id, index) > (%(after_id)s, %(after_index)s) and generation_id < %(last)s
order by generation_id, index limit 250;
