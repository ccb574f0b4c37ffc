-- Give a workspace the key that its names of end users are hashed with; the one that it has, if it has one by now.
update workspaces set end_user_key = coalesce(end_user_key, %(fresh)s) where id = %(workspace_id)s
returning end_user_key;
