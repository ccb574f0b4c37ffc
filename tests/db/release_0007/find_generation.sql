-- Generations of given workspaces, each with its media and the workspace's rate window for its type. Every pair of an id
-- and a workspace is a question of its own, and only that workspace's generation answers it. What waits is told its place
-- in the queue, from 1 to 201: no more than 200 others that wait are looked at, in the order of the index, which is about
-- that of their coming.
select asked.place, g.id, g.type::text as type, g.model, g.state::text as state, g.progress,
    g.billable_unit, g.unit_price_nanos, g.charged_nanos, g.charged_thousandths,
    g.error_code, g.error_message, g.created_at, g.finished_at, g.deletes_at, g.unseen, g.seed,
    coalesce((
        select jsonb_agg(jsonb_build_object(
            'index', m.index, 'mime_type', m.mime_type, 'width', m.width, 'height', m.height,
            'duration_seconds', m.duration_seconds, 'fps', m.fps, 'has_sound', m.has_sound) order by m.index)
        from media m where m.generation_id = g.id), '[]'::jsonb) as media,
    case g.type when 'image' then w.image_rpm else w.video_rpm end as own_rate_limit,
    case when case g.type when 'image' then a.image_window_start else a.video_window_start end < date_trunc('minute', now())
        then 0
        else case g.type when 'image' then a.image_window_used else a.video_window_used end
    end as rate_used,
    extract(epoch from date_trunc('minute', now()))::bigint + 60 as rate_reset,
    case g.state when 'queued' then 1 + (
        select count(*) from (
            select waiting.id, waiting.type from generations waiting
            where waiting.state = 'queued' and waiting.lease_until is null limit 201) as waiting
        where waiting.id < g.id and waiting.type = g.type)
    end as queue_position
from unnest(%(id)s::text[], %(workspace_id)s::bigint[]) with ordinality as asked (id, workspace_id, place)
join generations g on g.id = asked.id and g.workspace_id = asked.workspace_id
join accounts a on a.workspace_id = g.workspace_id
join workspaces w on w.id = g.workspace_id;
