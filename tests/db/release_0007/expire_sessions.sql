-- Forget sessions whose time is over. A batch of them, by row address.
delete from dashboard_sessions where ctid = any (array(
    select ctid from dashboard_sessions where expires_at <= now() order by expires_at limit 1000
    for update skip locked
));
