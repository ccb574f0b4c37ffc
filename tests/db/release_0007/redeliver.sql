-- Deliver an event once more, under its own id: one delivery by its number.
insert into deliveries (event_id, endpoint_id, url, lane)
select d.event_id, d.endpoint_id, d.url, d.lane
from deliveries d join webhook_endpoints e on e.id = d.endpoint_id
where d.id = %(id)s and e.disabled_at is null
  and (%(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s)
returning id;
