-- Each statement on its own and outside a transaction: nodes read and write meanwhile.

-- What can still be looked at, and nothing of what is gone: a page of it, and the count of each day, filters included, are
-- read from here alone. Of 100,000 the counts take 40 ms; 430 ms where each row is looked up.
create index concurrently if not exists generations_kept
    on generations (workspace_id, (id collate "C") desc) include (type, model, api_key_id, way_in, deletes_at)
    where state = 'completed' and request is not null;
