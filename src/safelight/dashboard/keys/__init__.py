"""API keys, and who is in.

pages      keys: making, changing and revoking them
sessions   who is in at the dashboard, and ending that
"""
