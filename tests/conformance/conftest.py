"""Each file of tests names its ``VENDORS``; each of them is opened once, with a Safelight in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safelight.lifecycle import dispatch, turns
from tests.conformance.front import Front, open_front
from tests.conformance.vendor import Scenario, Vendor, spellings_of_the_key
from tests.support.postgres import TestDatabases
from tests.support.server import open_folder

_HURRY = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "vendor" in metafunc.fixturenames:
        vendors = metafunc.module.VENDORS
        metafunc.parametrize("vendor", vendors, ids=[vendor.name for vendor in vendors], indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A vendor is not asked for what it lacks; the table says why."""
    items[:] = [item for item in items if not _is_lacking(item)]


def _is_lacking(item: pytest.Item) -> bool:
    asked = getattr(getattr(item, "callspec", None), "params", {}).get("vendor")
    if not isinstance(item, pytest.Function) or not isinstance(asked, Vendor):
        return False
    test, lacks = item.function, asked.lacks
    return getattr(test, "scenario", None) in lacks or getattr(test, "lacking", None) not in (None, *lacks)


@pytest.fixture(scope="module")
async def vendor(request: pytest.FixtureRequest, databases: TestDatabases) -> AsyncIterator[Vendor]:
    made: Vendor = request.param
    made.new_database = databases.create
    with open_folder() as folder:
        await made.open(folder)
        yield made
        await made.close()


@pytest.fixture(autouse=True)
def in_a_hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two questions, and before another try, a tenth of the time goes by. The pace has tests of its own.

    Where questions are counted while runs ask theirs, it is the usual one.
    """
    if getattr(request.function, "scenario", None) is Scenario.BATCHED:
        return
    of_polls, of_turns = dispatch.pause_seconds, turns._pause_seconds
    monkeypatch.setattr(dispatch, "pause_seconds", lambda asked, count: of_polls(asked, count) / _HURRY)
    monkeypatch.setattr(turns, "_pause_seconds", lambda failure, asked: of_turns(failure, asked) / _HURRY)


@pytest.fixture(autouse=True)
async def nothing_secret_is_told(
    request: pytest.FixtureRequest, front: Front, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[None]:
    """The vendor quotes its key wherever it can: it is in no row, and in no line of the log."""
    yield
    rows = await front.studio.rows("select to_jsonb(g) from generations g")
    losses = await front.studio.rows("select to_jsonb(l) from losses l")
    log = "".join(capsys.readouterr())
    told = (repr((rows, losses)) + log).encode()
    assert not [spelling for spelling in spellings_of_the_key() if spelling in told]
    if getattr(request.function, "scenario", None) is Scenario.REFUSED:
        assert "connection=" in log or '"connection"' in log, "the log is seen, with what the backend said"


@pytest.fixture(scope="module")
async def front(vendor: Vendor, databases: TestDatabases) -> AsyncIterator[Front]:
    """On a database of its own: all that is on record there came of this vendor."""
    with open_folder() as folder:
        async with open_front(vendor, databases.create(), Path(folder)) as opened:
            yield opened
