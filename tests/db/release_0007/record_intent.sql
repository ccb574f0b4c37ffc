-- Record that a backend is about to be called; only for the live runner. The binding's place in the catalog is for nodes
-- of the release before, which know no other name; the next migration drops it.
update generations set
    submitted_at = now(), named_at = now(),
    connection = %(connection)s, upstream_model = %(upstream_model)s, binding_options = %(binding_options)s,
    binding = %(binding)s, handle = null
where id = %(id)s and run_token = %(run_token)s;
