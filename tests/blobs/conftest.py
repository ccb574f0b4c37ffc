"""What the stores under test are given."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a source file and gives its path."""
    folder = tmp_path / "sources"
    folder.mkdir()

    def write(content: bytes, name: str = "source") -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write
