-- From here on a workspace is gone for everybody: its name, its keys' names, its endpoints. What it made follows a batch at a
-- time. No row comes back if it was erased before.
with workspace as (
    update workspaces set name = 'erased-' || id, erased_at = now(), erased_up_to = '', end_user_key = null
    where id = %(workspace_id)s and erased_at is null
    returning id
), keys as (
    update api_keys k set name = 'erased', prefix = '', last_four = '' from workspace w where k.workspace_id = w.id
), endpoints as (
    update webhook_endpoints e set
        disabled_at = coalesce(e.disabled_at, now()), disabled_reason = coalesce(e.disabled_reason, 'erased')
    from workspace w where e.workspace_id = w.id
)
select id from workspace;
