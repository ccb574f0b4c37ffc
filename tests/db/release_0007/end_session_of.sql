-- End a session of a workspace's people or, where that is allowed, of an operator.
delete from dashboard_sessions
where sha256 = %(sha256)s and (workspace_id = %(workspace_id)s or (%(operators)s and workspace_id is null));
