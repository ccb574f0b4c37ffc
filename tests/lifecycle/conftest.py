"""One studio for the tests of a file, on the database of this worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.lifecycle.studio import Studio, open_studio
from tests.support.server import open_folder


@pytest.fixture(scope="module")
async def studio(database_url: str) -> AsyncIterator[Studio]:
    with open_folder() as folder:
        async with open_studio(database_url, Path(folder)) as opened:
            yield opened
