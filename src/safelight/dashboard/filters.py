"""What several lists are narrowed by: the key, and the way in. Both are called the same on every page."""

from __future__ import annotations

from collections.abc import Mapping

from safelight.accounts.keys import list_keys
from safelight.accounts.spend import NO_KEY
from safelight.dashboard.reading import Fields
from safelight.dashboard.visit import Visit
from safelight.domain.errors import InvalidParameter
from safelight.domain.numbers import BEYOND, number_within
from safelight.domain.text import quoted

WAYS_IN = {"dashboard": "dashboard", "v2": "API (/v2)", "openai": "OpenAI's API (/v1)", "mcp": "MCP"}
"""The ways in that a request can take, as they are on record and as they are called."""


async def key_names(visit: Visit) -> dict[int, str]:
    """What pages call the workspace's keys, by number."""
    keys = await list_keys(visit.scope, visit.state.keeping.db)
    return {each.id: f"{each.name} ({each.id})" for each in keys}


def key_name(names: Mapping[int, str], key_id: int | None) -> str:
    """What pages call a key of these names; None or ``NO_KEY``: there was none."""
    return names.get(key_id, f"key ({key_id})") if key_id else "without a key"


def read_key(fields: Fields, names: Mapping[int, str]) -> int | None:
    """The number of the key that is asked for, ``NO_KEY`` for ``none``; None where all are.

    Raises ``InvalidParameter``.
    """
    text = fields.text("key").strip()
    if not text:
        return None
    if text == "none":
        return NO_KEY
    number = number_within(text, 1, BEYOND - 1)
    if number is None or number not in names:
        raise InvalidParameter(f"There is no key {quoted(text)} in this workspace.", param="key")
    return number


def given(visit: Visit, names: tuple[str, ...]) -> dict[str, str]:
    """The filters of the address as they came, empty where they are not there; and the workspace, for an operator."""
    return {name: visit.request.query_params.get(name, "") for name in names} | visit.own
