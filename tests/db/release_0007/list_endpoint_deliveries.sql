-- Deliveries of one endpoint in given states and of given types, newest first, from before a given one. Each state is a walk of
-- its own down the index.
select d.id, d.event_id, v.type, v.generation_id, w.name as workspace, d.endpoint_id, coalesce(d.url, e.url) as url,
       d.state::text as state, d.attempts, d.last_status, d.last_error, d.created_at, d.last_attempt_at, d.ended_at,
       case when d.state = 'pending' then d.next_attempt_at end as next_attempt_at
from (
    select newest.id
    from webhook_endpoints e
    cross join unnest(%(states)s::delivery_state[]) as wanted (state)
    cross join lateral (
        select d.id from deliveries d
        where d.endpoint_id = e.id and d.state between wanted.state and wanted.state
          and d.id < coalesce(%(before)s::bigint, 9223372036854775807)
          and (%(type)s::text is null or exists (select from events v where v.id = d.event_id and v.type = %(type)s))
        order by d.state desc, d.id desc limit %(most)s
    ) newest
    where e.id = %(endpoint_id)s and (%(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s)
    order by newest.id desc limit %(most)s
) page
cross join lateral (
    select * from deliveries d where d.id = page.id limit 1 -- each by its key, however many the planner expects
) d
join events v on v.id = d.event_id
join webhook_endpoints e on e.id = d.endpoint_id
join workspaces w on w.id = e.workspace_id
where w.erased_at is null
order by d.id desc;
