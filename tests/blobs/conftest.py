"""The stores under test. SeaweedFS is started once in each test process that asks for it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.blobs import seaweed


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweed.Server]:
    folder = tmp_path_factory.mktemp("seaweed")
    with seaweed.serve(folder) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


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
