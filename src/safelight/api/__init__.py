"""The HTTP surface: the frame, and a folder for each dialect. No SQL, no provider code.

app         the ASGI application, put together from the routes that wiring hands it
auth        what the routes share, and whose request it is
bodies      reading a request body strictly
submission  what generations share: the submission read from a request, rate limit headers
errors      from an error's kind to an HTTP answer
answer      JSON answers, with exact amounts
downloads   signed links to files
ranges      conditional and range requests (RFC 9110)
reference   the page at /docs
health      whether the process lives and can serve
fair_use    what one address may take
access      request ids and the access log
getimg/     the public v2 contract: its routes, its wire structs, its description
"""
