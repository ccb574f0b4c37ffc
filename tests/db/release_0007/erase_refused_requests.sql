-- Forget the refused requests of an erased workspace. A batch of them, by row address.
delete from refused_requests where ctid = any (array(
    select ctid from refused_requests where workspace_id = %(workspace_id)s limit 1000
));
