-- What the account allows right now: balance, generations under way, and the rate window of one type.
select
    a.available_nanos,
    a.in_flight,
    coalesce(w.concurrency, %(default_concurrency)s) as concurrency,
    case when %(type)s = 'image' then coalesce(w.image_rpm, %(default_rpm)s)
         else coalesce(w.video_rpm, %(default_rpm)s) end as rate_limit,
    case when %(type)s = 'image'
         then case when a.image_window_start < date_trunc('minute', now()) then 0 else a.image_window_used end
         else case when a.video_window_start < date_trunc('minute', now()) then 0 else a.video_window_used end
    end as rate_used,
    extract(epoch from date_trunc('minute', now()))::bigint + 60 as rate_reset,
    extract(epoch from date_trunc('minute', now()) + interval '60 s' - now())::float8 as reset_in_seconds
from accounts a
join workspaces w on w.id = a.workspace_id
where a.workspace_id = %(workspace_id)s;
