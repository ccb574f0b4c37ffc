"""MCP over streamable HTTP: what ``safelight.mcp`` has, at ``/mcp``, with the API's own keys.

routes   the dialect, and what goes before the SDK: the key, the host, the size of a body, the session's name
hosts    whom a request may have been sent to, and from what page
calls    the API as the tools call it, within the process
"""
