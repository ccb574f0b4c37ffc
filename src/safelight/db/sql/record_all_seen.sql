-- Record that a client is being told of these together: a repeat of their request joins all of them, or none.
update generations set unseen = false where id = any (%(ids)s) and unseen;
