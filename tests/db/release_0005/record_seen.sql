-- Record whether a client has seen a generation. Repeats of its request join only what is unseen.
update generations set unseen = not %(seen)s where id = %(id)s and unseen = %(seen)s;
