-- A workspace's generations of a type, each with what was asked for and on which terms, from after a given one: newest first,
-- or oldest first. Each state is a walk of its own along the index, whichever way.
select g.id, g.type::text as type, g.model, g.state::text as state, g.progress,
    g.billable_unit, g.unit_price_nanos, g.charged_nanos, g.charged_thousandths,
    g.error_code, g.error_message, g.created_at, g.finished_at, g.deletes_at, g.unseen, g.seed,
    coalesce((
        select jsonb_agg(jsonb_build_object(
            'index', m.index, 'mime_type', m.mime_type, 'width', m.width, 'height', m.height,
            'duration_seconds', m.duration_seconds, 'fps', m.fps, 'has_sound', m.has_sound) order by m.index)
        from media m where m.generation_id = g.id), '[]'::jsonb) as media,
    -- Past its time it is not shown, though the sweeper may yet have to come by.
    case when g.deletes_at is null or g.deletes_at > now() then g.request end as request,
    g.quantity, g.retention_seconds, g.is_stored, g.api_key_id, g.remixed_from, g.way_in
from (
    (
        select newest.id
        from unnest(enum_range(null::generation_state)) as wanted (state)
        cross join lateral (
            select g.id from generations g
            where %(newest_first)s and g.workspace_id = %(workspace_id)s and g.type = %(type)s::generation_type
              and g.state = wanted.state and g.id collate "C" < coalesce(%(after)s::text, 'req-8') -- beyond every id
            order by g.id collate "C" desc limit %(limit)s
        ) newest
        order by newest.id collate "C" desc limit %(limit)s
    ) union all (
        select oldest.id
        from unnest(enum_range(null::generation_state)) as wanted (state)
        cross join lateral (
            select g.id from generations g
            where not %(newest_first)s and g.workspace_id = %(workspace_id)s and g.type = %(type)s::generation_type
              and g.state = wanted.state and g.id collate "C" > coalesce(%(after)s::text, '')
            order by g.id collate "C" limit %(limit)s
        ) oldest
        order by oldest.id collate "C" limit %(limit)s
    )
) page
cross join lateral (
    select * from generations g where g.id = page.id limit 1 -- each by its key, however many the planner expects
) g
order by case when %(newest_first)s then g.id collate "C" end desc, g.id collate "C";
