-- Forget what a workspace asked for and who it was. Its transfers stay: they hold amounts and ids only.
with forgotten as (
    update generations set request = null, handle = null, webhook_url = null, error_message = case when error_code is null then null
        else 'Erased.' end
    where workspace_id = %(workspace_id)s
), keys as (
    delete from idempotency_keys where workspace_id = %(workspace_id)s
), endpoints as (
    delete from webhook_endpoints where workspace_id = %(workspace_id)s
), notices as (
    delete from events where workspace_id = %(workspace_id)s
), named as (
    update api_keys set name = 'erased', prefix = '', last_four = '' where workspace_id = %(workspace_id)s
)
update workspaces set name = 'erased-' || id, erased_at = now() where id = %(workspace_id)s;
