-- Generations after an id up to another that are in the table.
select id from generations where id > %(after)s and id <= %(last)s order by id;
