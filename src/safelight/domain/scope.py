"""Who asks, and how far their permission goes."""

from __future__ import annotations

import msgspec


class WorkspaceScope(msgspec.Struct, frozen=True):
    """May see and change what belongs to one workspace."""

    workspace_id: int

    def __post_init__(self) -> None:
        if self.workspace_id is None:  # in statements null is the operator's
            raise TypeError("A workspace's scope needs the workspace's number.")


class OperatorScope(msgspec.Struct, frozen=True):
    """May see and change everything: whoever runs the installation, on its own machines."""

    @property
    def workspace_id(self) -> None:
        """Null in a statement's condition: of every workspace."""
        return None


OPERATOR = OperatorScope()

Scope = WorkspaceScope | OperatorScope


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The key that a request carried and the workspace it stands for.

    ``is_capped``: the key has a spend cap. ``retention_max_seconds``: the workspace's own, where it has one.
    """

    key_id: int
    workspace_id: int
    workspace: str = ""
    is_capped: bool
    retention_max_seconds: int | None = None

    @property
    def scope(self) -> WorkspaceScope:
        return WorkspaceScope(self.workspace_id)
