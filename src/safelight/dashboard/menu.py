"""The menu: each page for whoever may see it."""

from __future__ import annotations

import msgspec

from safelight.dashboard.site import PREFIX
from safelight.domain.roles import Role


class Item(msgspec.Struct, frozen=True):
    """``path``: below ``/dashboard``. ``role``: what one must be allowed to."""

    name: str
    path: str
    role: Role = Role.READ

    def is_here(self, path: str) -> bool:
        """Whether a page at this path is this item's."""
        mine = f"{PREFIX}{self.path}"
        return path == mine or (bool(self.path) and path.startswith(f"{mine}/"))


MENU: tuple[tuple[str, tuple[Item, ...]], ...] = (
    (
        "",
        (
            Item("Overview", ""),
            Item("Playground", "/playground", Role.GENERATE),
            Item("Gallery", "/gallery"),
            Item("Jobs", "/jobs"),
            Item("Spend", "/spend"),
            Item("Models", "/models"),
            Item("Keys", "/keys", Role.ADMIN),
            Item("Webhooks", "/webhooks", Role.ADMIN),
        ),
    ),
    (
        "Operator",
        (
            Item("Workspaces", "/operator/workspaces", Role.OPERATOR),
            Item("Connections", "/operator/connections", Role.OPERATOR),
            Item("Queue", "/operator/queue", Role.OPERATOR),
            Item("Storage", "/operator/storage", Role.OPERATOR),
            Item("Health", "/operator/health", Role.OPERATOR),
            Item("Audit", "/operator/audit", Role.OPERATOR),
        ),
    ),
)


def menu_for(role: Role) -> list[tuple[str, list[Item]]]:
    """What somebody may see, by their headings; a heading without any is left out."""
    open_ = [(title, [item for item in items if role.includes(item.role)]) for title, items in MENU]
    return [(title, items) for title, items in open_ if items]
