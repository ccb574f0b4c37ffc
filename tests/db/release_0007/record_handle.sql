-- Keep the backend's job handle; only for the live runner.
update generations set handle = %(handle)s
where id = %(id)s and run_token = %(run_token)s;
