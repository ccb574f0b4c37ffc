"""Servers that speak OpenAI's Images and Videos shapes: the vendor's own, self-hosted engines, gateways.

settings   what a connection is told: a flavor, and each of its quirks by itself
saying     whether a server can be told all that an order says, and how
orders     the request that gives an order
answers    what an answer brings: pictures, a job, usage, cost
errors     what a refusal means
provider   the port
checks     a look at a live server
"""

from safelight.providers.openai.provider import KIND

__all__ = ["KIND"]
