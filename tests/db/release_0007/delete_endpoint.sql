-- Forget an endpoint, whose deliveries are forgotten.
delete from webhook_endpoints where id = %(endpoint_id)s;
