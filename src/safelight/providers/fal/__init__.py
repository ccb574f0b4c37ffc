"""fal.ai's queue: any model there, by its id, with a map of where in its own input each part of an order goes.

settings   what a connection and a binding may be told
provider   orders, polls and cancels
answers    reads what the queue and the models say
output     finds the media in a model's output
webhooks   tells fal's callbacks from anybody else's
check      a look at a live model, for ``safelight models check``
"""

from safelight.providers.fal.provider import KIND

__all__ = ["KIND"]
