-- Generations of given workspaces, each with its media, with what was asked for, which goes with those, and on which terms.
-- Every pair of an id and a workspace is a question of its own, and only that workspace's generation answers it.
select asked.place, g.id, g.type::text as type, g.model, g.state::text as state, g.progress,
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
from unnest(%(id)s::text[], %(workspace_id)s::bigint[]) with ordinality as asked (id, workspace_id, place)
join generations g on g.id = asked.id and g.workspace_id = asked.workspace_id;
