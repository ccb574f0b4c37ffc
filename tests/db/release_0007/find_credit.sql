-- The credit that was added under a reference.
select workspace_id, available_nanos as amount_nanos, reason from transfers
where id = (select transfer_id from credit_references where reference = %(reference)s);
