"""Telling events over HTTP, by the Standard Webhooks specification 1.0.0 (https://www.standardwebhooks.com).

signing   secrets, and the three headers that let a receiver know who sent what, and when
schedule  when a failed delivery is tried again
sender    one attempt, through ``safelight.outbound``, and what it came to

What is due to whom is on record in the database: ``safelight.lifecycle.notify``.
"""
