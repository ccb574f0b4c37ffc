"""The ways through the dashboard, as its menu lists them: each page for whoever may see it."""

from __future__ import annotations

import msgspec

from safelight.dashboard.site import PREFIX
from safelight.domain.roles import Role


class Way(msgspec.Struct, frozen=True):
    """One entry. ``path``: below ``/dashboard``. ``role``: what one must be allowed to."""

    name: str
    path: str
    role: Role = Role.READ

    def is_here(self, path: str) -> bool:
        """Whether a page at this path is this way's."""
        mine = f"{PREFIX}{self.path}"
        return path == mine or (bool(self.path) and path.startswith(f"{mine}/"))


WAYS: tuple[tuple[str, tuple[Way, ...]], ...] = (
    (
        "",
        (
            Way("Overview", ""),
            Way("Playground", "/playground", Role.GENERATE),
            Way("Gallery", "/gallery"),
            Way("Jobs", "/jobs"),
            Way("Spend", "/spend"),
            Way("Models", "/models"),
            Way("Keys", "/keys", Role.ADMIN),
            Way("Webhooks", "/webhooks", Role.ADMIN),
        ),
    ),
    (
        "Operator",
        (
            Way("Workspaces", "/operator/workspaces", Role.OPERATOR),
            Way("Connections", "/operator/connections", Role.OPERATOR),
            Way("Queue", "/operator/queue", Role.OPERATOR),
            Way("Storage", "/operator/storage", Role.OPERATOR),
            Way("Health", "/operator/health", Role.OPERATOR),
            Way("Audit", "/operator/audit", Role.OPERATOR),
        ),
    ),
)


def ways_for(role: Role) -> list[tuple[str, list[Way]]]:
    """Those that somebody may go, by their headings; a heading without any is left out."""
    open_ = [(title, [way for way in ways if role.includes(way.role)]) for title, ways in WAYS]
    return [(title, ways) for title, ways in open_ if ways]
