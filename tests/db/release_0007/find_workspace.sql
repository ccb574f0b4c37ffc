-- A workspace by its name.
select id from workspaces where name = %(name)s;
