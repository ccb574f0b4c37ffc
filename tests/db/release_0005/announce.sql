-- Tell an event that goes with no change of a row, if anybody listens.
select announce(%(workspace_id)s, %(type)s, null, %(payload)s, null);
