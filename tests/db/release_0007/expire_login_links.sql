-- Forget links to come in by whose time is over. A batch of them, by row address.
delete from login_links where ctid = any (array(
    select ctid from login_links where expires_at <= now() order by expires_at limit 1000
    for update skip locked
));
