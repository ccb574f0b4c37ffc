-- Put off the end of the time for which a workspace's events are on record, as long as it is not over.
update followed_workspaces set until = now() + make_interval(secs => %(seconds)s)
where workspace_id = %(workspace_id)s and until > now();
