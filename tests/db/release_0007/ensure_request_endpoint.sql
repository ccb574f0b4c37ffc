-- Give a workspace the secret for addresses that requests name, if it has none yet.
insert into webhook_endpoints (workspace_id, secret) values (%(workspace_id)s, %(secret)s)
on conflict (workspace_id) where url is null do nothing;
