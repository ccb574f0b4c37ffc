-- What backends said of orders that came to nothing, alike ones as one, of the newest generations since an id.
with newest as materialized (
    select id, workspace_id, backend_reports from generations
    where id >= %(since)s order by id desc limit %(most)s
)
select said.connection, said.outcome, said.reason, said.status, said.code,
    coalesce(said.words, said.detail, '') as words, count(*) as times, max(said.at) as last_at,
    max(n.id) as generation_id, (array_agg(w.name order by n.id desc))[1] as workspace
from newest n
join workspaces w on w.id = n.workspace_id and w.erased_at is null
cross join lateral (
    select r ->> 'connection' as connection, r ->> 'outcome' as outcome, r ->> 'reason' as reason,
        (r ->> 'status')::integer as status, r ->> 'code' as code, left(r ->> 'words', 200) as words,
        left(r ->> 'detail', 200) as detail, (r ->> 'at')::timestamptz as at
    from jsonb_array_elements(n.backend_reports) r
    where r ->> 'outcome' <> 'completed'
) said
where said.connection is not null and said.at >= %(from)s
group by 1, 2, 3, 4, 5, 6
order by said.connection, last_at desc limit 500;
