-- The first generation after an id.
select id from generations where id > %(after)s order by id limit 1;
