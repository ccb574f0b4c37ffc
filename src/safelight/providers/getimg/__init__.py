"""The hosted media generation API (api.getimg.ai), or another Safelight, which speaks the same contract and more.

provider   orders, polls, finds and cancels
contract   reads what the other side says
check      a look at a live one, for ``safelight models check``
"""

from safelight.providers.getimg.provider import KIND

__all__ = ["KIND"]
