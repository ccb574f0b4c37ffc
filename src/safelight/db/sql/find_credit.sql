-- The credit that was added under a reference.
select t.workspace_id, t.available_nanos as amount_nanos, t.reason
from credit_references c join transfers t on t.id = c.transfer_id
where c.reference = %(reference)s;
