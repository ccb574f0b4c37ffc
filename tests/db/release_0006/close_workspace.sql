-- End every key of a workspace that is to be erased, or whose erasing was broken off.
with workspace as (
    select id from workspaces where name = %(name)s and (erased_at is null or erased_up_to is not null)
), revoked as (
    update api_keys set revoked_at = coalesce(revoked_at, now())
    where workspace_id in (select id from workspace)
)
select id from workspace;
