-- Deliver events once more, under their own ids: all that failed at an endpoint and were not repeated since.
insert into deliveries (event_id, endpoint_id, url, lane)
select d.event_id, d.endpoint_id, d.url, d.lane
from deliveries d join webhook_endpoints e on e.id = d.endpoint_id
where d.endpoint_id = %(endpoint_id)s and d.state = 'failed' and e.disabled_at is null
  and (%(workspace_id)s::bigint is null or e.workspace_id = %(workspace_id)s)
  and not exists (
      select from deliveries later
      where later.event_id = d.event_id and later.endpoint_id = d.endpoint_id and later.id > d.id)
returning id;
