"""Generations made at a steady pace and kept for long or short, with their money, files and events."""

from __future__ import annotations

import psycopg

SECONDS_APART = 7.776
"""A million of them are ninety days."""

LARGE = "kept-1"
"""The workspace that half of them belong to; the rest belong to nineteen others in turn."""

# Of twenty one failed, of a thousand one is a video, and few of those were canceled. Of a hundred deliveries two failed
# (one of them the large workspace's), so that a page of them is full, whatever the count.
_ROWS = (
    # Without a look-up of every reference: what refers is made from what it refers to.
    """
    set session_replication_role = replica
    """,
    """
    insert into workspaces (name) select 'kept-' || n from generate_series(1, 20) n
    """,
    """
    insert into accounts (workspace_id) select id from workspaces where name like 'kept-%%'
    """,
    """
    insert into api_keys (workspace_id, name, sha256, prefix, last_four)
    select id, 'bench', sha256(id::text::bytea), 'sk_0000', '0000' from workspaces where name like 'kept-%%'
    """,
    """
    insert into webhook_endpoints (workspace_id, url, secret)
    select id, 'https://hooks.example.com/', 'whsec_bench' from workspaces where name like 'kept-%%'
    """,
    """
    create temporary table made as
    select n, 'req-01JZ' || lpad(n::text, 22, '0') as id,
        owners.ids[case when n %% 2 = 0 then 1 else 2 + n / 2 %% 19 end] as workspace_id,
        owners.keys[case when n %% 2 = 0 then 1 else 2 + n / 2 %% 19 end] as api_key_id,
        case when n %% 1000 = 0 then 'video' else 'image' end::generation_type as type,
        case when n %% 10000 = 0 then 'canceled' when n %% 20 = 7 then 'failed' else 'completed' end::generation_state
            as state,
        'model-' || n %% 4 as model,
        now() - (%(count)s - n) * make_interval(secs => %(apart)s) as at
    from generate_series(1, %(count)s) n, (
        select array_agg(k.workspace_id order by k.workspace_id) as ids, array_agg(k.id order by k.workspace_id) as keys
        from api_keys k join workspaces w on w.id = k.workspace_id where w.name like 'kept-%%') owners
    """,
    """
    insert into generations (id, workspace_id, api_key_id, type, model, request, body_sha256, billable_unit,
        unit_price_nanos, quantity, held_nanos, charged_nanos, charged_thousandths, state, error_code, error_message,
        deadline, submitted_at, retention_seconds, created_at, finished_at, deletes_at)
    select id, workspace_id, api_key_id, type, model,
        case when at > now() - interval '6 days' then '{"prompt": "a grey square"}'::jsonb end, sha256(id::bytea),
        'image', 1000, 1, 1000, (state = 'completed')::int * 1000, (state = 'completed')::int * 1000,
        state, case when state <> 'completed' then 'generation_failed' end,
        case when state <> 'completed' then 'No.' end,
        at, at, 604800, at, at, case when state = 'completed' then at + interval '7 days' end
    from made order by n
    """,
    """
    insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at,
        tombstoned_at, deleted_at)
    select id, 0, 'media/' || to_char(at, 'YYYY/MM/DD') || '/' || id || '-0.png', 'image/png', 4096, sha256(id::bytea),
        64, 64, at + interval '7 days', gone_at, gone_at
    from made cross join lateral (
        select case when at < now() - interval '6 days' then at + interval '6 days' end as gone_at) gone
    where state = 'completed' order by n
    """,
    """
    insert into transfers (workspace_id, kind, funding_nanos, available_nanos, reason, created_at)
    select workspace_id, 'fund', -1000 * count(*), 1000 * count(*), 'for a bench', min(at) from made group by 1
    """,
    """
    insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos, revenue_nanos, created_at)
    select m.workspace_id, line.kind, m.id, line.available, line.held, line.revenue, m.at
    from made m cross join lateral (values
        ('hold', -1000, 1000, 0),
        ('settle', 1000 - 1000 * (state = 'completed')::int, -1000, 1000 * (state = 'completed')::int)
    ) as line (kind, available, held, revenue)
    order by m.n
    """,
    """
    update accounts a set available_nanos = l.available_nanos from (
        select workspace_id, sum(available_nanos) as available_nanos from transfers group by 1) l
    where l.workspace_id = a.workspace_id
    """,
    """
    insert into daily_usage (workspace_id, date, type, model, api_key_id,
        completed, charged_thousandths, cost_nanos, failed)
    select workspace_id, (at at time zone 'UTC')::date, type, model, api_key_id,
        count(*) filter (where state = 'completed'), 1000 * count(*) filter (where state = 'completed'),
        1000 * count(*) filter (where state = 'completed'), count(*) filter (where state <> 'completed')
    from made group by 1, 2, 3, 4, 5
    """,
    """
    insert into daily_margins (workspace_id, date, type, model, connection, completed, charged_nanos, cost_nanos)
    select workspace_id, (at at time zone 'UTC')::date, type, model, 'farm', count(*), 1000 * count(*), 400 * count(*)
    from made where state = 'completed' group by 1, 2, 3, 4 on conflict do nothing
    """,
    """
    insert into losses (at, generation_id, workspace_id, type, model, connection, upstream_model, reason, cost_nanos)
    select at, id, workspace_id, type, model, 'farm', model, 'failed', 400 from made where state = 'failed' order by n
    """,
    """
    insert into idempotency_keys (workspace_id, key, body_sha256, generation_id, created_at)
    select workspace_id, 'key-' || n, sha256(id::bytea), id, greatest(at, now() - interval '23 hours') from made
    """,
    """
    insert into events (id, workspace_id, generation_id, type, payload, created_at)
    select 'evt_' || lpad(n::text, 32, '0'), workspace_id, id, 'generation.' || state, '{}',
        greatest(at, now() - interval '29 days')
    from made order by n
    """,
    """
    insert into deliveries (event_id, endpoint_id, lane, state, attempts, last_attempt_at, created_at, ended_at)
    select 'evt_' || lpad(m.n::text, 32, '0'), e.id, e.id::text,
        case when m.n %% 100 in (1, 50) then 'failed' else 'delivered' end::delivery_state, 1, m.at, m.at, m.at
    from made m join webhook_endpoints e on e.workspace_id = m.workspace_id order by m.n
    """,
    """
    insert into followed_workspaces (workspace_id, last_number, until)
    select workspace_id, count(*), now() + interval '7 days' from made group by 1
    """,
    """
    insert into followed_events (workspace_id, number, event_id)
    select workspace_id, row_number() over (partition by workspace_id order by n), 'evt_' || lpad(n::text, 32, '0')
    from made order by n
    """,
    """
    drop table made
    """,
)


def keep(url: str, count: int) -> None:
    """Put that many on record, as if they had been made one after the other up to now."""
    with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC -c synchronous_commit=off") as connection:
        for statement in _ROWS:
            connection.execute(statement, {"count": count, "apart": SECONDS_APART})
        connection.execute("vacuum analyze")


def kept_id(number: int) -> str:
    """The id of one of them; the oldest has the number 1."""
    return f"req-01JZ{number:022}"


def count_kept(url: str) -> int:
    """How many there are."""
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from generations where id like 'req-01JZ%'").fetchone()
    return int(row[0]) if row else 0
