-- How many generations of a workspace are under way.
select in_flight from accounts where workspace_id = %(workspace_id)s;
