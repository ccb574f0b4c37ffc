-- A new workspace with an empty account.
with workspace as (
    insert into workspaces (name) values (%(name)s) on conflict (name) do nothing returning id, name, created_at
), account as (
    insert into accounts (workspace_id) select id from workspace
)
select id, name from workspace;
