-- Wait for all that is being settled or submitted in a workspace, which tells its events under the same lock. No row comes
-- back of one that is erased.
select a.workspace_id from accounts a join workspaces w on w.id = a.workspace_id
where a.workspace_id = %(workspace_id)s and w.erased_at is null
for no key update of a for key share of w;
