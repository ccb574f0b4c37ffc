"""Commands that call a server over its HTTP API, as any client does: they know nothing of its database or its making.

commands    what each takes; what it does is imported when it is to be done
exits       the exit statuses, and the errors that lead there
profiles    whom to call, and with which key
connection  calls over HTTP, sent again where that is safe, and streams of events
output      results on stdout, everything else on stderr, and how a command runs
options     options that they share
login       profiles kept and forgotten
mcp         MCP on standard streams, on the tools of ``safelight.mcp``
wishes      the options of a request
answers     what the API answers, as far as it is read here
asking      from wishes to a request, and its price
references  reference images, from files, addresses and earlier results
targets     where files go, looked at before anything is ordered
journal     what was ordered, kept so that a command that is killed can be gone on with
making      orders placed, told, followed and brought home
follow      a generation, followed to its end
progress    how far it is, on stderr
download    files fetched, gone on with, checked
delivery    what is finished, brought home and told
inline      a picture in the terminal
listeners   what a listener remembers: how far it is, and what it signs with
generate, quoting, collecting, listing, watching, listening, completing
            the commands themselves
"""
