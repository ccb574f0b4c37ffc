-- Count anew what a key with a spend cap has spent, while its workspace's account is locked: all that was charged for it, and
-- what is held.
update api_keys k set spent_nanos =
    coalesce((
        select sum(u.cost_nanos) from daily_usage u where u.workspace_id = k.workspace_id and u.api_key_id = k.id), 0)
    + coalesce((
        select sum(g.held_nanos) from generations g
        where g.workspace_id = k.workspace_id and g.api_key_id = k.id and g.state in ('queued', 'running', 'unknown')), 0)
where k.id = %(id)s and k.spend_cap_nanos is not null;
