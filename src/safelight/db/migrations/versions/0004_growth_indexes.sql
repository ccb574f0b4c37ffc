-- Each statement of 0004, on its own and outside a transaction: nodes read and write meanwhile.

-- A list of one type or state looks at no other. Its order is one that no other index has: the planner, which takes types and
-- states to be spread evenly, would walk down those instead.
create index concurrently if not exists generations_by_status
    on generations (workspace_id, type, state, (id collate "C") desc);
-- Credit is found without a look at what was held and settled.
create index concurrently if not exists transfers_credit on transfers (workspace_id, id desc) where kind = 'fund';
-- What was used and refused on a day, of every workspace.
create index concurrently if not exists daily_usage_by_date on daily_usage (date);
create index concurrently if not exists daily_refusals_by_date on daily_refusals (date);
-- The log of an endpoint, and that of all of them, by what became of a delivery.
create index concurrently if not exists deliveries_by_endpoint_and_state on deliveries (endpoint_id, state, id);
create index concurrently if not exists deliveries_by_state on deliveries (state, id);
-- What is being erased is found without a look at what is not.
create index concurrently if not exists workspaces_being_erased on workspaces (id) where erased_up_to is not null;
-- What waits, by endpoint: one workspace's lanes are no others'. (deliveries_due is for nodes of the release before.)
create index concurrently if not exists deliveries_waiting on deliveries (endpoint_id, lane, next_attempt_at)
    where state = 'pending';
-- deliveries_by_endpoint_and_state finds these as well.
drop index concurrently if exists deliveries_by_endpoint;
