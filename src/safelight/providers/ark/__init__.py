"""ModelArk, BytePlus' or Volcengine's: Seedream for images, Seedance for videos.

settings   what a connection and a binding may be told
orders     the request that gives an order
answers    what an answer brings: a picture, where a task stands, what was used
errors     what a refusal means
provider   the port
check      a look at a live one
"""

from safelight.providers.ark.provider import KIND

__all__ = ["KIND"]
