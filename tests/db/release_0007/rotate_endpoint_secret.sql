-- Give an endpoint a new secret; the one before it signs as well for a while. Where it is told which secret was seen, nothing
-- changes if that is no more the one.
update webhook_endpoints set
    secret = %(secret)s,
    previous_secret = case when %(keep_seconds)s > 0 then secret end,
    previous_until = case when %(keep_seconds)s > 0 then now() + make_interval(secs => %(keep_seconds)s) end
where id = %(id)s and (%(workspace_id)s::bigint is null or workspace_id = %(workspace_id)s)
  and (%(seen)s::text is null or encode(sha256(secret::bytea), 'hex') = %(seen)s)
returning previous_until;
