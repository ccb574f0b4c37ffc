-- Tell an event for which nothing happened, unless many such were told in the last minute. Its id is null where nobody listens.
select case when told.count < %(most)s then record_event(%(workspace_id)s, %(type)s, null, %(payload)s, null) end as id,
    told.count < %(most)s as is_allowed
from (
    select count(*) from events
    where created_at > now() - interval '1 minute' and workspace_id = %(workspace_id)s and generation_id is null
) told;
