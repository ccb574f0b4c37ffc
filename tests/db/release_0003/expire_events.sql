-- Forget old events with their deliveries, a batch at a time, unless one still waits.
delete from events where id in (
    select v.id from events v
    where v.created_at < now() - make_interval(days => %(days)s)
      and not exists (select from deliveries d where d.event_id = v.id and d.state = 'pending')
    order by v.created_at limit 1000
);
