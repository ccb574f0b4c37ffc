-- End every key of a workspace that is to be erased, or whose erasing was broken off, and its people's sessions and links.
with workspace as (
    select id from workspaces where name = %(name)s and (erased_at is null or erased_up_to is not null)
), revoked as (
    update api_keys set revoked_at = coalesce(revoked_at, now())
    where workspace_id in (select id from workspace)
), ended as (
    delete from dashboard_sessions where workspace_id = any (array(select id from workspace))
), unused as (
    delete from login_links where workspace_id = any (array(select id from workspace))
)
select id from workspace;
