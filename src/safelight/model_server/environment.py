"""What Ray reads as it is imported."""

from __future__ import annotations

import os
import secrets


def prepare(*, own_cluster: bool) -> None:
    """Set it. Some ports of a Ray are open to the network, and whoever is let in there may run code: one of our own has
    a token, made anew at each start."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if own_cluster:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
