-- The newest of a workspace's events that are on record in their order.
select number, event_id from followed_events where workspace_id = %(workspace_id)s order by number desc limit 1;
