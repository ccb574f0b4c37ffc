"""The package as ``make build/package/.installed`` has built and installed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.place import BUILT, ROOT


@pytest.fixture(scope="session", autouse=True)
def is_of_these_sources() -> None:
    """Fail where the sources have changed since it was built."""
    stamp = BUILT / ".installed"
    remedy = "Run: make build/package/.installed"
    assert stamp.exists(), f"The package is not built. {remedy}"
    built_at = stamp.stat().st_mtime
    sources = [
        path for folder in ("src", "docs", "deploy") for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"
    ]
    newer = [path for path in sources if path.is_file() and path.stat().st_mtime > built_at]
    assert not newer, f"Changed since the package was built: {newer[0]}. {remedy}"


@pytest.fixture(scope="session")
def wheel() -> Path:
    (found,) = (BUILT / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist() -> Path:
    (found,) = (BUILT / "dist").glob("*.tar.gz")
    return found
