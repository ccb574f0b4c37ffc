"""Servers that speak the API of AUTOMATIC1111's Stable Diffusion WebUI: Forge, SD.Next and sd-server, too.

settings   what a connection is told: a flavor, and each of its quirks by itself
saying     whether a server can be told all that an order says, and what it carries besides
orders     the request that gives an order
answers    what an answer brings: a picture, or where a job stands
errors     what a refusal means
progress   how far a picture is, and whether somebody stopped it
provider   the port
checks     a look at a live server
"""

from safelight.providers.a1111.provider import KIND

__all__ = ["KIND"]
