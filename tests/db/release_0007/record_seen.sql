-- Record whether a client has seen generations, of all at once. Repeats of their request join only what is unseen.
update generations set unseen = not %(seen)s where id = any (%(ids)s) and unseen = %(seen)s;
