-- How many connections the server has for users that are no superusers.
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int;
