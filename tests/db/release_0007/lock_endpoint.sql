-- Wait for whoever delivers once more what failed at an endpoint.
select id from webhook_endpoints
where id = %(endpoint_id)s and (%(workspace_id)s::bigint is null or workspace_id = %(workspace_id)s)
for no key update;
