"""Commands that call a server over its HTTP API, as any client does: they know nothing of its database or its making.

commands    what each takes; what it does is imported when it is to be done
exits       the exit statuses, and the errors that lead there
profiles    whom to call, and with which key
connection  calls over HTTP, sent again where that is safe, and streams of events
output      results on stdout, everything else on stderr, and how a command runs
options     options that they share
login       profiles kept and forgotten
mcp         MCP on standard streams, on the tools of ``safelight.mcp``
"""
