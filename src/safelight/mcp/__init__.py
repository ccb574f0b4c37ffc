"""An MCP server whose tools are calls to the v2 API: every rule of limits, money and tenancy stays where it is.

api         the API, as the tools call it: within the process, or over HTTP
arguments   what each tool takes
schemas     the tools as hosts see them
keys        the idempotency key of each call, by which a repeat is the same order
references  pictures to go by: addresses, data URLs, and earlier generations
orders      making images and videos, and waiting for their end
results     from the API's answers to what a model and a person see, within what hosts take
tools       what each tool does
tasks       videos as tasks, for hosts that know the extension
resources   generations as resources
server      all of it put together

It stands on the official SDK, the extra ``mcp``: nothing but what serves MCP imports this package.
"""
