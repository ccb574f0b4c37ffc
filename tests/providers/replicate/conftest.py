from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.replicate.fake import FakeReplicate, serve


@pytest.fixture
def fake() -> Iterator[FakeReplicate]:
    with serve(FakeReplicate()) as server:
        yield server
