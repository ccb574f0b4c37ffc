-- Send to an endpoint again.
update webhook_endpoints set disabled_at = null, disabled_reason = null
where id = %(id)s and (%(workspace_id)s::bigint is null or workspace_id = %(workspace_id)s);
