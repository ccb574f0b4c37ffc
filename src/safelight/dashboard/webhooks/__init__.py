"""Webhooks: who is told, and what was sent.

pages       endpoints: making one, its secret, its log, test events
deliveries  one delivery with its request and answer, and sending it again
"""
