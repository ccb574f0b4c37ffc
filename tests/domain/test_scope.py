"""How far a permission goes."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.scope import OPERATOR, Principal, WorkspaceScope


def test_a_key_stands_for_its_workspace_and_nothing_else() -> None:
    principal = Principal(key_id=3, workspace_id=7, is_capped=False)
    assert principal.scope == WorkspaceScope(7)


def test_only_the_operator_has_no_workspace() -> None:
    """Null is every workspace's in a statement, so a number that is missing must not pass for it."""
    assert OPERATOR.workspace_id is None
    missing: Any = None
    with pytest.raises(TypeError, match="number"):
        WorkspaceScope(missing)
