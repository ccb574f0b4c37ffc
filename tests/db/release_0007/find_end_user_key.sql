-- The key that a workspace's names of end users are hashed with, if it has one yet.
select end_user_key from workspaces where id = %(workspace_id)s;
