-- Workspaces that are being erased.
select id from workspaces where erased_up_to is not null order by id;
