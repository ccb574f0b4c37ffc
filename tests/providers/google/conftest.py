from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.google.fake import FakeGoogle, serve


@pytest.fixture
def fake() -> Iterator[FakeGoogle]:
    with serve(FakeGoogle()) as started:
        yield started
