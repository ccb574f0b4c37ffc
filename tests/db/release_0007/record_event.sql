-- Tell an event that goes with no change of a row, if anybody listens; its id, or null.
select record_event(%(workspace_id)s, %(type)s, null, %(payload)s, null);
