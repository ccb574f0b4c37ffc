-- Accept a generation: take a place in its rate window and among those under way, hold its price, write its rows.
-- No row comes back if the account does not allow it, as `limits` then says, or if its key has a spend cap that the caller
-- does not know of.
with account as (
    update accounts a set
        available_nanos = a.available_nanos - %(held_nanos)s,
        held_nanos = a.held_nanos + %(held_nanos)s,
        in_flight = a.in_flight + 1,
        low_since = case when a.available_nanos - %(held_nanos)s < %(low_balance_nanos)s
            then coalesce(a.low_since, now()) end,
        image_window_used = case
            when %(type)s <> 'image' then a.image_window_used
            when a.image_window_start < date_trunc('minute', now()) then 1
            else a.image_window_used + 1 end,
        image_window_start = case when %(type)s <> 'image' then a.image_window_start
            else greatest(a.image_window_start, date_trunc('minute', now())) end,
        video_window_used = case
            when %(type)s <> 'video' then a.video_window_used
            when a.video_window_start < date_trunc('minute', now()) then 1
            else a.video_window_used + 1 end,
        video_window_start = case when %(type)s <> 'video' then a.video_window_start
            else greatest(a.video_window_start, date_trunc('minute', now())) end
    from workspaces w
    where a.workspace_id = %(workspace_id)s and w.id = a.workspace_id
      and (%(is_capped)s or not exists (
          select from api_keys k where k.id = %(api_key_id)s and k.spend_cap_nanos is not null))
      and a.available_nanos >= %(held_nanos)s
      and a.in_flight < coalesce(w.concurrency, %(default_concurrency)s)
      and case when %(type)s = 'image'
          then a.image_window_start < date_trunc('minute', now())
               or a.image_window_used < coalesce(w.image_rpm, %(default_rpm)s)
          else a.video_window_start < date_trunc('minute', now())
               or a.video_window_used < coalesce(w.video_rpm, %(default_rpm)s) end
    returning a.workspace_id,
        case when %(type)s = 'image' then coalesce(w.image_rpm, %(default_rpm)s)
             else coalesce(w.video_rpm, %(default_rpm)s) end as rate_limit,
        case when %(type)s = 'image' then a.image_window_used else a.video_window_used end as rate_used,
        case when %(type)s = 'image' then a.image_window_start else a.video_window_start end as rate_window_start
), generation as (
    insert into generations (
        id, workspace_id, api_key_id, type, model, request, body_sha256,
        billable_unit, unit_price_nanos, quantity, held_nanos,
        state, run_token, lease_until, attempts, submitted_at, named_at, connection, upstream_model, binding_options,
        deadline, retention_seconds, is_stored, webhook_url, end_user, remixed_from, way_in, traceparent,
        unseen)
    select %(id)s, workspace_id, %(api_key_id)s, %(type)s::generation_type, %(model)s, %(request)s, %(body_sha256)s,
        %(billable_unit)s, %(unit_price_nanos)s, %(quantity)s, %(held_nanos)s,
        case when %(run_token)s::uuid is null then 'queued' else 'running' end::generation_state,
        %(run_token)s::uuid,
        case when %(run_token)s::uuid is not null then now() + make_interval(secs => %(lease_seconds)s) end,
        case when %(run_token)s::uuid is null then 0 else 1 end,
        case when %(run_token)s::uuid is not null then now() end,
        case when %(run_token)s::uuid is not null then now() end,
        %(connection)s, %(upstream_model)s, %(binding_options)s,
        now() + make_interval(secs => %(deadline_seconds)s),
        %(retention_seconds)s, %(is_stored)s, %(webhook_url)s, %(end_user)s, %(remixed_from)s, %(way_in)s,
        %(traceparent)s,
        %(type)s = 'video'
    from account
), hold as (
    insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos)
    select workspace_id, 'hold', %(id)s, -%(held_nanos)s, %(held_nanos)s from account
), idempotency as (
    insert into idempotency_keys (workspace_id, key, body_sha256, generation_id)
    select workspace_id, %(idempotency_key)s, %(body_sha256)s, %(id)s from account
    where %(idempotency_key)s::text is not null
)
select rate_limit, rate_used, extract(epoch from rate_window_start)::bigint + 60 as rate_reset from account;
