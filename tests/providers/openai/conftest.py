from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.providers.openai.fake import FakeServer, serve


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeServer]]:
    """Starts servers for one test: ``fake("xai")``."""
    with ExitStack() as started:

        def start(flavor: str = "openai", **options: Any) -> FakeServer:
            return started.enter_context(serve(FakeServer(flavor, **options)))

        yield start
