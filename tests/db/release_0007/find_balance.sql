-- What a workspace may spend now.
select available_nanos, held_nanos from accounts where workspace_id = %(workspace_id)s;
