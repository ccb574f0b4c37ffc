"""Alibaba Cloud Model Studio (DashScope): Wan, Qwen-Image and what else its API makes, as tasks or in one answer.

settings   what a connection and a binding are told, and what follows from a model's name where a binding says less
orders     the request that gives an order, and what no order of a binding could say
answers    what the API says: a task, a picture, a refusal
check      a look at a live one, for ``safelight models check``
provider   orders, polls and cancels
"""

from safelight.providers.dashscope.provider import KIND

__all__ = ["KIND"]
