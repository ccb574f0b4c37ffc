-- Put on record what somebody did.
insert into audit_log (person, role, workspace_id, action, target, detail, address)
values (%(person)s, %(role)s, %(workspace_id)s, %(action)s, %(target)s, %(detail)s, %(address)s)
returning id;
