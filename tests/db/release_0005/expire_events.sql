-- Forget old events with their deliveries, unless one still waits. A batch of them, by row address.
delete from events where ctid = any (array(
    select v.ctid from events v
    where v.created_at < now() - make_interval(days => %(days)s)
      and not exists (select from deliveries d where d.event_id = v.id and d.state = 'pending')
    order by v.created_at limit 1000
    for update of v skip locked
));
