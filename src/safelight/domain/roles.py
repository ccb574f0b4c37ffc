"""What a key, or a person, may do: one list, for requests of the API and pages of the dashboard alike."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each may do all that those before it may.

    ``read``: see what the workspace has. ``generate``: order generations, and delete what was made. ``admin``: the
    workspace's keys and webhooks. ``operator``: everything, in every workspace; no key has it.
    """

    READ = "read"
    GENERATE = "generate"
    ADMIN = "admin"
    OPERATOR = "operator"

    def includes(self, needed: Role) -> bool:
        """Whether whoever has this role may do what needs ``needed``."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


OF_KEYS = (Role.READ, Role.GENERATE, Role.ADMIN)
