"""The HTTP surface: the frame, and a folder for each dialect. No SQL, no provider code.

app         the ASGI application, put together from the dialects that wiring hands it
dialect     what a dialect is: its routes, and the shape of its errors
paths       one spelling of a path, for routes and links alike
headers     headers that mean one thing come once
routing     from a path and a method to a handler, and from what it raises to an answer
auth        what the routes share, and whose request it is
bodies      reading a request body strictly
forms       reading a form, as files come in
faults      why a body is refused, from its struct's own types
submission  what generations share: the submission read from a request, and the headers of its answer
unread      what a client still sends when its answer is there
told        what an answer tells of, and whether it arrived
errors      from an error's kind to an HTTP answer
answer      JSON answers, with exact amounts, and streams of events
downloads   signed links to files
hints       where a backend tells that something happened to a job
ranges      conditional and range requests (RFC 9110)
reference   a dialect described: a document for machines, a page for people
schemas     the schemas of wire structs, as generators of clients want them
index       what is at ``/``
health      whether the process lives and can serve
fair_use    what one address may take
by_proxies  a header that only a proxy's word makes count
access      request ids and the access log
within      calls to the API from within the process, with a caller's own key
getimg/     the public v2 contract: its routes, its wire structs, its description
openai/     OpenAI's API, for its clients: images and videos below /v1
mcp/        MCP at ``/mcp``, on the tools of ``safelight.mcp``; imported only where it is on

The frame imports no dialect, and no dialect another.
"""
