-- What the transfers that went add up to, by workspace and day.
select workspace_id, date, transfers, available_nanos, held_nanos, revenue_nanos from archived_ledger;
