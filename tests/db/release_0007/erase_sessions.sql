-- End the sessions of an erased workspace's people, and the links they would have come in by.
with ended as (
    delete from dashboard_sessions where workspace_id = %(workspace_id)s
)
delete from login_links where workspace_id = %(workspace_id)s;
