"""Replicate: official models, pinned versions of any model, and deployments, each with an input of its own.

provider      orders, polls, finds and cancels
settings      what a connection and a binding may be told, and what a model's name means
inputs        a prediction's input: the order's parts where the binding maps them, reference images by address
predictions   reads a prediction: where it stands, and the media in its output
failures      why an order was declined, or a prediction failed
callbacks     tells the vendor's webhooks from anybody else's
check         a look at the live account and model, for ``safelight models check``
"""

from safelight.providers.replicate.provider import KIND

__all__ = ["KIND"]
