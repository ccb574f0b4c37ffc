-- Forget what was made for the end users of an erased workspace. A batch of them, by row address.
delete from daily_end_users where ctid = any (array(
    select ctid from daily_end_users where workspace_id = %(workspace_id)s limit 1000
));
