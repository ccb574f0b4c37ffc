"""All of a workspace's events followed over HTTP: from now on, from any of them on, and while the key is good."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import get_args

import httpx
import msgspec
import pytest

from safelight.api.getimg import requests, wire
from safelight.api.getimg.examples import EVENTS
from safelight.domain.events import EventType
from tests.contract.accounts import Account, Accounts
from tests.contract.bodies import VIDEOS

EVENTS_PATH = "/v2/events"
UNKNOWN = "evt_" + "0" * 32


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One block of a stream; ``data`` is None where it is only a place."""

    id: str
    event: str | None = None
    data: str | None = None


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """Of its own for each test, as each hears everything."""
    return accounts.create()


@contextlib.contextmanager
def following(account: Account, header: str | None = None, **query: str) -> Iterator[Iterator[Told]]:
    headers = {} if header is None else {"Last-Event-ID": header}
    with (
        account.http() as http,
        http.stream("GET", EVENTS_PATH, params=query, headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
        yield blocks(answer.iter_lines())


def blocks(lines: Iterator[str]) -> Iterator[Told]:
    block: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        else:
            yield msgspec.convert(block, Told)
            block = {}


def trigger(account: Account, type_: str = "balance.low") -> httpx.Response:
    with account.http() as http:
        return http.post(EVENTS_PATH, json={"type": type_})


def refused(account: Account, header: str | None = None, **query: str) -> tuple[int, str, str]:
    headers = {} if header is None else {"Last-Event-ID": header}
    with account.http() as http:
        answer = http.get(EVENTS_PATH, params=query, headers=headers)
        error = answer.json()["error"]
        return answer.status_code, error["param"], error["message"]


def test_a_generation_s_end_is_told_as_its_get_answers(account: Account) -> None:
    with following(account) as stream, account.http() as http:
        place = next(stream)
        assert re.fullmatch("evt_[0-9a-f]{32}", place.id) and place.data is None
        made = http.post("/v2/images/generations", json={"model": "noop-image", "prompt": "a hill"}).json()
        told = next(stream)
        assert (told.event, told.id > place.id) == ("generation.completed", True)
        body = json.loads(told.data or "")
        assert list(body) == ["type", "timestamp", "data"]
        assert body["data"] == http.get(f"/v2/images/generations/{made['id']}").json()
        assert httpx.get(body["data"]["data"][0]["url"]).status_code == 200
        video = http.post(VIDEOS, json={"model": "slow-video", "prompt": "clouds"}).json()
        http.delete(f"{VIDEOS}/{video['id']}")
        assert next(stream).event == "generation.canceled"


def test_it_goes_on_behind_any_event(account: Account) -> None:
    """By the header, or where that cannot be set by the query; the header, which is newer, goes first."""
    with following(account) as stream:
        place = next(stream)
    ids = [trigger(account).json()["id"] for _ in range(3)]
    with following(account, header=place.id) as stream:
        assert [next(stream).id for _ in range(4)] == [place.id, *ids]
    with following(account, header=ids[1], after=place.id) as stream:
        assert [next(stream).id for _ in range(2)] == ids[1:]
    with following(account, after=ids[2]) as stream:
        assert next(stream).id == ids[2]
        assert trigger(account).json()["id"] == next(stream).id


def test_only_the_types_that_are_asked_for(account: Account) -> None:
    """What is passed over moves the place on all the same."""
    with following(account, types="generation.failed, balance.low") as stream:
        next(stream)
        passed_over, told = trigger(account, "moderation.refused").json()["id"], trigger(account).json()["id"]
        found = next(stream)
        if found.data is None:  # both at once, or one after the other
            assert found.id == passed_over
            found = next(stream)
        assert (found.id, found.event) == (told, "balance.low")
        last = trigger(account, "generation.completed").json()["id"]
        assert next(stream) == Told(id=last)


@pytest.mark.parametrize("type_", EventType)
def test_a_test_event_is_as_a_true_one(account: Account, type_: EventType) -> None:
    with following(account) as stream:
        next(stream)
        answer = trigger(account, type_)
        told = next(stream)
    assert (answer.status_code, answer.json()) == (202, {"id": told.id, "type": type_.value})
    body = json.loads(told.data or "")
    assert (told.event, body["type"], body["data"]) == (type_.value, type_.value, EVENTS[type_])


def test_the_examples_have_the_shape_of_what_is_told() -> None:
    msgspec.convert(EVENTS[EventType.GENERATION_COMPLETED], wire.CompletedImage)
    for type_ in (EventType.GENERATION_FAILED, EventType.GENERATION_CANCELED):
        msgspec.convert(EVENTS[type_], wire.FailedGeneration)
    assert list(EVENTS) == list(get_args(requests.EventName)) == list(EventType)


def test_where_nobody_listens_a_test_event_says_so(account: Account) -> None:
    answer = trigger(account)
    assert (answer.status_code, answer.json()) == (202, {"id": None, "type": "balance.low"})


@pytest.mark.parametrize("body", [{}, {"type": "generation.begun"}, {"type": None}, {"type": "balance.low", "more": 1}])
def test_what_is_no_test_event_is_refused(account: Account, body: dict[str, object]) -> None:
    with account.http() as http:
        answer = http.post(EVENTS_PATH, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "more" if "more" in body else "type")


def test_too_many_test_events_are_refused(account: Account) -> None:
    with following(account) as stream:
        next(stream)
        statuses = [trigger(account).status_code for _ in range(31)]
    assert (statuses[0], statuses[-1]) == (202, 429)


def test_what_cannot_be_followed_is_refused_with_the_remedy(account: Account, accounts: Accounts) -> None:
    for said, words in ((UNKNOWN, "no longer known.*from now on"), ("17", "the id of the last event you have")):
        for param, (status, named, message) in {
            "Last-Event-ID": refused(account, said),
            "after": refused(account, after=said),
        }.items():
            assert (status, named) == (400, param)
            assert re.search(words, message)
    for types in ("", "generation.begun", "balance.low,"):
        status, named, message = refused(account, types=types)
        assert (status, named) == (400, "types")
        assert "generation.completed" in message
    with following(accounts.create()) as stream:
        assert refused(account, next(stream).id)[0] == 400, "another workspace's is as one that never was"


def test_an_empty_header_is_none(account: Account) -> None:
    """As browsers have it before the first event (HTML, section 9.2.5)."""
    with following(account, header="") as stream:
        assert next(stream).data is None


def test_head_follows_nothing(account: Account) -> None:
    with account.http() as http:
        headed = http.head(EVENTS_PATH)
        assert (headed.status_code, headed.content) == (200, b"")
        assert http.head(EVENTS_PATH, params={"types": "x"}).status_code == 400
    assert trigger(account).json()["id"] is None, "nobody listens"


def test_a_workspace_hears_of_its_own_alone(account: Account, accounts: Accounts) -> None:
    other = accounts.create()
    with following(account) as mine, following(other) as theirs:
        next(mine), next(theirs)
        first, second = trigger(other).json()["id"], trigger(account).json()["id"]
        assert (next(mine).id, next(theirs).id) == (second, first)


def test_a_key_that_is_revoked_hears_nothing_more(accounts: Accounts) -> None:
    """From within a second on: until then a process may remember that it was good."""
    account = accounts.create()
    other = accounts.another_key(account)
    with following(account) as stream:
        next(stream)
        accounts.revoke(account)
        assert trigger(other).json()["id"] is not None
        for _ in stream:
            time.sleep(0.1)
            assert trigger(other).status_code == 202
    with account.http() as http:
        assert http.get(EVENTS_PATH).status_code == 401
