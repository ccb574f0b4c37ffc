-- Add to the counts of refused requests, each by workspace, UTC date, type, model, key and reason; and put the requests on
-- record, but for those of a workspace that is erased.
with counted as (
    insert into daily_refusals as r (workspace_id, date, type, model, api_key_id, reason, count)
    select * from unnest(
        %(workspace_id)s::bigint[], %(date)s::date[], %(type)s::generation_type[], %(model)s::text[],
        %(api_key_id)s::bigint[], %(reason)s::text[], %(count)s::bigint[])
    on conflict on constraint daily_refusals_once do update set count = r.count + excluded.count
), standing as (
    select w.id from workspaces w
    where w.id = any (%(workspace_id)s::bigint[]) and w.erased_at is null
    order by w.id for key share -- whoever erases it comes before, or waits
)
insert into refused_requests (workspace_id, type, model, api_key_id, way_in, reason, message, param, count)
select r.workspace_id, r.type, r.model, r.api_key_id, r.way_in, r.reason, r.message, r.param, r.count
from jsonb_to_recordset(%(requests)s) as r (
    workspace_id bigint, type generation_type, model text, api_key_id bigint, way_in text, reason text, message text,
    param text, count bigint)
join standing on standing.id = r.workspace_id;
