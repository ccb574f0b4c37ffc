"""Reading the URL of a reference image."""

from __future__ import annotations

from safelight.domain.errors import InvalidParameter
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.urls import Target, UrlRefused, parse_url


def parse_reference_url(url: str, param: str, policy: OutboundPolicy) -> Target:
    """Where the image is to be fetched from. Raises ``InvalidParameter`` naming ``param``."""
    try:
        return parse_url(url, policy)
    except UrlRefused as refused:
        raise InvalidParameter(str(refused), param=param) from None
