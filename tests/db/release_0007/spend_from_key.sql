-- Count a hold against the key's spend cap. No row is touched if the cap does not allow it.
update api_keys set spent_nanos = spent_nanos + %(held_nanos)s
where id = %(api_key_id)s
  and (spend_cap_nanos is null or spent_nanos + %(held_nanos)s <= spend_cap_nanos)
returning id;
