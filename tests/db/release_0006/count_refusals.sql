-- Add to the counts of refused requests, each by workspace, UTC date, type, model, key and reason.
insert into daily_refusals as r (workspace_id, date, type, model, api_key_id, reason, count)
select * from unnest(
    %(workspace_id)s::bigint[], %(date)s::date[], %(type)s::generation_type[], %(model)s::text[],
    %(api_key_id)s::bigint[], %(reason)s::text[], %(count)s::bigint[])
on conflict on constraint daily_refusals_once do update set count = r.count + excluded.count;
