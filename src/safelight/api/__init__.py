"""The HTTP surface: routes, wire structs, authentication, error mapping. No SQL, no provider code.

app        the ASGI application, put together
wire       what goes over the wire, in both directions
body       reading a request body strictly
state      what the routes share, and whose request it is
answer     JSON answers, with exact amounts
errors     from an error's kind to an HTTP answer
images, videos, models, billing, downloads, health    the routes
ranges     conditional and range requests (RFC 9110)
openapi    the API described, from the same structs
reference  the page at /docs
examples   what its examples are made of
access     request ids and the access log
"""
