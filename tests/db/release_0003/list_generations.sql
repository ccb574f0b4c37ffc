-- A workspace's generations, newest first, from after a given one.
select g.id, g.type::text as type, g.model, g.state::text as state, g.progress,
    g.billable_unit, g.unit_price_nanos, g.charged_nanos, g.charged_thousandths,
    g.error_code, g.error_message, g.created_at, g.finished_at, g.deletes_at, g.unseen,
    coalesce((
        select jsonb_agg(jsonb_build_object(
            'index', m.index, 'mime_type', m.mime_type, 'width', m.width, 'height', m.height,
            'duration_seconds', m.duration_seconds, 'fps', m.fps, 'has_sound', m.has_sound) order by m.index)
        from media m where m.generation_id = g.id), '[]'::jsonb) as media
from generations g
where g.workspace_id = %(workspace_id)s
  and (%(type)s::generation_type is null or g.type = %(type)s::generation_type)
  and (%(states)s::generation_state[] is null or g.state = any(%(states)s::generation_state[]))
  and (%(after)s::text is null or g.id < %(after)s)
order by g.id desc
limit %(limit)s;
