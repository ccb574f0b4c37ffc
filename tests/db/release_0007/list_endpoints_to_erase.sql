-- The endpoints of a workspace that is being erased.
select id from webhook_endpoints where workspace_id = %(workspace_id)s order by id;
