from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.providers.a1111.fake import FakeServer, serve


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeServer]]:
    """Starts servers for one test: ``fake("forge")``."""
    with ExitStack() as started:

        def start(flavor: str = "a1111", **options: Any) -> FakeServer:
            return started.enter_context(serve(FakeServer(flavor, **options)))

        yield start
