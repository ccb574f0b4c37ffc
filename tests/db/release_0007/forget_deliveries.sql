-- Forget a batch of an endpoint's deliveries, and the events that were for nobody else.
with gone as (
    delete from deliveries where ctid = any (array(
        select ctid from deliveries where endpoint_id = %(endpoint_id)s order by state, id limit 1000
    ))
    returning event_id
), orphaned as (
    delete from events where id = any (array(
        select g.event_id from gone g
        where not exists (
            select from deliveries d where d.event_id = g.event_id and d.endpoint_id <> %(endpoint_id)s)
          and not exists (select from followed_events e where e.event_id = g.event_id)
    ))
)
select count(*) from gone;
