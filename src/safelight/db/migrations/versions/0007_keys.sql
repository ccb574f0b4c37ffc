-- What a key may do, and what is on record of a key. The release before makes keys that may generate, as all could.
-- A table alone, but for those that nobody uses yet; its rows, which are few, are looked at once for the check, so that the
-- lock stands for a moment. It may be run again.

-- Who waits for a lock lets nobody past. This is longer than PostgreSQL takes to send an autovacuum away (1 s).
set local lock_timeout = '2 s';

alter table api_keys
    add column if not exists role text not null default 'generate' check (role in ('read', 'generate', 'admin'));

-- The key that the sender gave for making it: the same form, sent again, makes no other.
alter table api_keys add column if not exists idempotency_key text check (length(idempotency_key) <= 64);
create unique index if not exists api_keys_once on api_keys (workspace_id, idempotency_key)
    where idempotency_key is not null;

-- The key that was pasted; null: they came in another way. Their session ends with it.
alter table dashboard_sessions add column if not exists api_key_id bigint references api_keys;
create index if not exists dashboard_sessions_by_key on dashboard_sessions (api_key_id);

-- Null: a person's, who needs no key.
alter table refused_requests add column if not exists api_key_id bigint references api_keys;
