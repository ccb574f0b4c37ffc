"""The queue's jobs, one file each, on Procrastinate over the same PostgreSQL.

The queue wakes and spreads work; that nothing is run twice rests on the generation row's run token.
"""
