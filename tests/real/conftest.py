"""An engine for each module, which starts in a second, and the figures that `make real` ends with."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.real import build
from tests.real.engine import Engine

_FIGURES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """What was measured, by name; printed when all tests have run."""
    return pytestconfig.stash.setdefault(_FIGURES, {})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    assert build.built() is not None, "there is no engine: make real builds it"
    started = Engine(tmp_path_factory.mktemp("engine"))
    try:
        yield started
        assert started.process.poll() is None, f"the engine died:\n{started.log[-2000:]}"
    finally:
        started.stop()


@pytest.fixture
def client(engine: Engine) -> Iterator[httpx.Client]:
    """For requests as they stand, without any adapter."""
    with httpx.Client(base_url=engine.base_url, timeout=120) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, value in config.stash.get(_FIGURES, {}).items():
        terminalreporter.write_line(f"{name + ' ':.<52} {value}")
