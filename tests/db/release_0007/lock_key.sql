-- Wait for all that is being settled or submitted in a key's workspace. No row comes back of a key that is not there or is
-- revoked.
select k.id from accounts a join api_keys k on k.workspace_id = a.workspace_id
where k.id = %(id)s and (%(workspace_id)s::bigint is null or k.workspace_id = %(workspace_id)s) and k.revoked_at is null
for no key update of a;
