-- Files that are kept, of generations whose ids lie between two: one day's, a page at a time.
select key from media
where generation_id >= %(first)s and generation_id < %(last)s and key > %(after)s and deleted_at is null
order by key limit 1000;
