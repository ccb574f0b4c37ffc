"""In the place of torchvision, whose builds fit one build of torch each: no node that is run here needs it."""

from torchvision import transforms

__all__ = ["transforms"]
