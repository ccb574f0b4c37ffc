-- Forget what a batch of an erased workspace's generations was asked for and told, and let its files be due; where the batch
-- ends stays with the workspace. Transfers stay: they hold amounts and ids only.
with workspace as (
    select id, erased_up_to from workspaces where id = %(workspace_id)s and erased_up_to is not null for update
), batch as materialized (
    select g.id, g.address from workspace w
    cross join lateral (
        select g.id, g.ctid as address from generations g
        where g.workspace_id = w.id and g.id > w.erased_up_to order by g.id limit 1000
    ) g
), forgotten as (
    update generations set request = null, handle = null, webhook_url = null, end_user = null, traceparent = null,
        error_message = case when error_code is not null then 'Erased.' end
    where ctid = any (array(select address from batch))
), due as (
    update media set deletes_at = least(deletes_at, date_trunc('second', now()))
    where ctid = any (array(
        select file.address from batch cross join lateral (
            select m.ctid as address from media m where m.generation_id = batch.id and m.deleted_at is null
            offset 0 -- each is looked up by its key, however many the planner expects
        ) file
    ))
), told as (
    delete from events v using batch where v.generation_id = batch.id
), moved as (
    update workspaces w set erased_up_to = (select max(id) from batch) from workspace
    where w.id = workspace.id and exists (select from batch)
)
select count(*) from batch;
