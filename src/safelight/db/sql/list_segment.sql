-- Generations after an id up to another, as the archive keeps them, with what is on record of their files and money: what
-- erasing a workspace forgets is not among it.
select g.id, json_build_object(
    'id', g.id, 'workspace_id', g.workspace_id, 'api_key_id', g.api_key_id, 'type', g.type, 'model', g.model,
    'state', g.state, 'error_code', g.error_code, 'way_in', g.way_in, 'remixed_from', g.remixed_from, 'seed', g.seed,
    'billable_unit', g.billable_unit, 'unit_price_nanos', g.unit_price_nanos, 'quantity', g.quantity,
    'held_nanos', g.held_nanos, 'charged_nanos', g.charged_nanos, 'charged_thousandths', g.charged_thousandths,
    'connection', g.connection, 'upstream_model', g.upstream_model, 'cost_nanos', g.cost_nanos,
    'attempts', g.attempts, 'tries', g.tries, 'is_stored', g.is_stored, 'retention_seconds', g.retention_seconds,
    'created_at', g.created_at, 'submitted_at', g.submitted_at, 'cancel_requested_at', g.cancel_requested_at,
    'deadline', g.deadline, 'finished_at', g.finished_at, 'deletes_at', g.deletes_at,
    'media', array(
        select json_build_object(
            'index', m.index, 'mime_type', m.mime_type, 'size_bytes', m.size_bytes, 'sha256', encode(m.sha256, 'hex'),
            'width', m.width, 'height', m.height, 'duration_seconds', m.duration_seconds, 'fps', m.fps,
            'has_sound', m.has_sound, 'deletes_at', m.deletes_at, 'tombstoned_at', m.tombstoned_at,
            'deleted_at', m.deleted_at)
        from media m where m.generation_id = g.id order by m.index),
    'transfers', array(
        select json_build_object(
            'id', t.id, 'kind', t.kind, 'available_nanos', t.available_nanos, 'held_nanos', t.held_nanos,
            'revenue_nanos', t.revenue_nanos, 'created_at', t.created_at)
        from transfers t where t.generation_id = g.id order by t.id)
)::text
from generations g where g.id > %(after)s and g.id <= %(last)s order by g.id limit %(limit)s;
