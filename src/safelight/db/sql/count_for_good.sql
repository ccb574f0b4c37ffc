-- Rows of the largest tables, as a backup and its restore compare them. For a database of any revision.
select (select count(*) from workspaces) as workspaces, (select count(*) from generations) as generations,
    (select count(*) from transfers) as transfers;
