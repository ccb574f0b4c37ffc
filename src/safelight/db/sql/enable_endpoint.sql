-- Send to an endpoint again.
update webhook_endpoints set disabled_at = null, disabled_reason = null where id = %(id)s;
