-- Send nothing more to an endpoint that is to be deleted, and tell it nothing more.
update webhook_endpoints set disabled_at = coalesce(disabled_at, now()), disabled_reason = 'it is being deleted'
where id = %(endpoint_id)s and (%(workspace_id)s::bigint is null or workspace_id = %(workspace_id)s);
