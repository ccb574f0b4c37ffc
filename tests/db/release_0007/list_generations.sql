-- A workspace's generations of these types and states, newest first, from after a given one. Each type and state is a walk
-- of its own down the index: those that are not asked for are not looked at, however many there are.
select g.id, g.type::text as type, g.model, g.state::text as state, g.progress,
    g.billable_unit, g.unit_price_nanos, g.charged_nanos, g.charged_thousandths,
    g.error_code, g.error_message, g.created_at, g.finished_at, g.deletes_at, g.unseen, g.seed,
    coalesce((
        select jsonb_agg(jsonb_build_object(
            'index', m.index, 'mime_type', m.mime_type, 'width', m.width, 'height', m.height,
            'duration_seconds', m.duration_seconds, 'fps', m.fps, 'has_sound', m.has_sound) order by m.index)
        from media m where m.generation_id = g.id), '[]'::jsonb) as media
from (
    select newest.id
    from unnest(%(types)s::generation_type[]) as asked (type)
    cross join unnest(%(states)s::generation_state[]) as wanted (state)
    cross join lateral (
        select g.id from generations g
        where g.workspace_id = %(workspace_id)s and g.type = asked.type and g.state = wanted.state
          and g.id collate "C" < coalesce(%(after)s::text, 'req-8') -- beyond every id
        order by g.id collate "C" desc limit %(limit)s
    ) newest
    order by newest.id desc limit %(limit)s
) page
cross join lateral (
    select * from generations g where g.id = page.id limit 1 -- each by its key, however many the planner expects
) g
order by g.id desc;
