"""Who asks, and how far their permission goes."""

from __future__ import annotations

import msgspec

from safelight.domain.roles import Role


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
    """Who sent a request, and the workspace that it is for.

    ``key_id``: the key that it carried, or that its sender signed in with; None for a person without one.
    ``is_capped``: the key has a spend cap. ``retention_max_seconds``: the workspace's own, where it has one.
    """

    key_id: int | None
    workspace_id: int
    workspace: str = ""
    is_capped: bool
    retention_max_seconds: int | None = None
    role: Role = Role.GENERATE

    @property
    def scope(self) -> WorkspaceScope:
        return WorkspaceScope(self.workspace_id)

    @property
    def sharer(self) -> tuple[int, int | None]:
        """Whose share of what is bounded by key a request of theirs takes: a key's, or that of a workspace's people."""
        return (self.workspace_id, self.key_id)
