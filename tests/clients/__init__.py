"""Clients that others wrote, against a real server: what they send is understood, what comes back is what they read.

pages         the blocks of a page of docs/clients/
reader        someone who follows such a page: one shell session, in one folder
test_recipes  every page, followed
media         what a client got, measured, and what it cost
litellm_proxy LiteLLM's proxy as a process
loopback_only what keeps a program of Python's on this machine

``*.mjs`` are programs for Node that tests start; litellm_library and litellm_lost_answer are for LiteLLM's own Python.
Clients that cannot run here (Open WebUI, LibreChat, n8n) are replayed: the requests have the shape that their own code
gives them, and the answers are read by the same rules.
"""
