-- Forget old events with their deliveries, unless one still waits, or it is the newest of those that somebody follows: from
-- there they go on. A batch of them, by row address.
delete from events where ctid = any (array(
    select v.ctid from events v
    where v.created_at < now() - make_interval(days => %(days)s)
      and not exists (select from deliveries d where d.event_id = v.id and d.state = 'pending')
      and v.id is distinct from (
          select e.event_id from followed_workspaces f
          join followed_events e on e.workspace_id = f.workspace_id and e.number = f.last_number
          where f.workspace_id = v.workspace_id and f.until > now())
    order by v.created_at limit 1000
    for update of v skip locked
));
