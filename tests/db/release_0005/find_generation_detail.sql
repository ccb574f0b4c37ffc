-- A generation of this workspace with what was asked for, which goes with its media, and on which terms.
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
    g.quantity, g.retention_seconds, g.is_stored, g.api_key_id
from generations g
where g.id = %(id)s and g.workspace_id = %(workspace_id)s;
