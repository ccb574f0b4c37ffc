-- Each statement on its own and outside a transaction: nodes read and write meanwhile.

-- Whether a key still names a generation that is to go is asked of each that goes.
create index concurrently if not exists idempotency_keys_by_generation on idempotency_keys (generation_id);
