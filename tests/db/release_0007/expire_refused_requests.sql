-- Forget refused requests that are old. A batch of them, by row address.
delete from refused_requests where ctid = any (array(
    select ctid from refused_requests
    where at < now() - make_interval(days => %(days)s)
    order by at limit 1000
    for update skip locked
));
