"""``python -m bench.rehearsal``: several nodes at work while each part in turn is killed, stopped, frozen or replaced.

site     PostgreSQL over TCP, an S3 server, two API nodes behind nginx, two workers, each with a data folder of its own
load     the official client: images and videos, asked for, polled and downloaded, and the webhooks that tell of them
phases   what is done to the site, one thing after the other
proof    at the end: nothing lost, doubled or stuck, and every sum right
report   the tables
"""
