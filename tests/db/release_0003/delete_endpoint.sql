-- Forget an endpoint, its deliveries, and events that were for nobody else.
with gone as (
    delete from webhook_endpoints
    where id = %(id)s and (%(workspace_id)s::bigint is null or workspace_id = %(workspace_id)s)
    returning id
), orphaned as (
    delete from events v using gone
    where v.id in (select d.event_id from deliveries d where d.endpoint_id = gone.id)
      and not exists (select from deliveries d where d.event_id = v.id and d.endpoint_id <> gone.id)
)
select id from gone;
