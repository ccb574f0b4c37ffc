"""Who sent a request."""

from __future__ import annotations

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The key that a request carried and the workspace it stands for.

    ``is_capped``: the key has a spend cap. ``retention_max_seconds``: the workspace's own, where it has one.
    """

    key_id: int
    workspace_id: int
    workspace: str = ""
    is_capped: bool
    retention_max_seconds: int | None = None
