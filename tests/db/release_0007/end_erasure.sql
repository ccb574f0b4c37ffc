-- Nothing is left to erase of a workspace.
update workspaces set erased_up_to = null where id = %(workspace_id)s;
