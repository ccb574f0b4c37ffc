-- Keep an erased workspace's events for nobody, and forget a batch of those that are on record.
with unfollowed as (
    delete from followed_workspaces where workspace_id = %(workspace_id)s
), gone as (
    delete from events where id = any (array(
        select event_id from followed_events where workspace_id = %(workspace_id)s order by number limit 1000
    ))
    returning id
)
select count(*) from gone;
