"""What a call comes to within the bounds of time and size, on an API that misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from safelight.domain.ids import made_at, new_generation_id
from safelight.mcp import orders, results
from safelight.mcp.api import Json, Refused, parse_events
from safelight.mcp.arguments import ImageArguments, VideoArguments
from safelight.mcp.keys import Keys, Origin
from safelight.mcp.orders import Call
from safelight.mcp.results import keep_nothing
from tests.mcp.hosts import facts, links, pictures, words

_LINK = "https://media.example.com/v2/downloads/" + "x" * 400


def image(**more: Any) -> Json:
    file = {
        "url": _LINK,
        "width": 4096,
        "height": 4096,
        "mime_type": "image/png",
        "deletes_at": "2026-05-02T12:30:00.000Z",
        "thumbnail_url": _LINK,
    }
    usage = {"total_cost": 0.04, "billable_unit": "image", "unit_price": 0.04, "quantity": 1}
    return {"id": new_generation_id(), "status": "completed", "model": "m", "data": [file], "usage": usage, **more}


class FakeApi:
    """Answers as it is told. ``kept``: generations by idempotency key."""

    def __init__(self, *, thumbnail_bytes: int = 1000, seconds: float = 0.0, error: Refused | None = None) -> None:
        self.kept: dict[str, Json] = {}
        self.thumbnail_bytes = thumbnail_bytes
        self.seconds = seconds
        self.error = error

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        assert path == "/v2/generations"
        found = self.kept.get(query["idempotency_key"])
        return {"data": [found] if found else [], "has_more": False}

    async def post(self, path: str, body: Json, key: str | None) -> Json:
        made = image(type="image")
        self.kept[key or ""] = {"id": made["id"], "type": "image", "status": "pending"}
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.kept[key or ""] = made
        return made

    async def delete(self, path: str) -> Json:
        raise AssertionError(path)

    async def events(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        yield "progress", {"id": path.split("/")[3], "status": "pending", "progress": 0.5}
        raise Refused("The connection broke off.", code="service_unavailable", is_unknown=True)

    async def download(self, url: str, most_bytes: int) -> bytes | None:
        return bytes(self.thumbnail_bytes) if self.thumbnail_bytes <= most_bytes else None

    async def size_of(self, url: str) -> int | None:
        raise Refused("The link is past its time.", code="download_expired")


def call_of(api: FakeApi, *, used_seconds: float = 0.0, told: list[str] | None = None) -> Call:
    async def report(progress: float, message: str) -> None:
        if told is not None:
            told.append(message)

    began = time.monotonic() - used_seconds
    return Call(api=api, key="k", report=report, is_watched=told is not None, began=began)


@pytest.mark.parametrize(
    ("thumbnail_bytes", "shown"), [(1000, 4), (100_000, 4), (160_000, 3), (204_800, 2), (204_801, 0)]
)
async def test_no_result_is_over_a_mib_and_every_link_is_in_it(thumbnail_bytes: int, shown: int) -> None:
    api = FakeApi(thumbnail_bytes=thumbnail_bytes)
    made = await orders.make_images(call_of(api), ImageArguments(prompt="é" * 4096, model="m", count=4))
    result = await results.of_images(api, made, keep_nothing)
    assert len(pictures(result)) == shown
    assert len(links(result)) == 4
    assert len(result.model_dump_json(by_alias=True)) <= 1024 * 1024
    assert len(words(result)) < 4096


async def test_an_image_that_takes_long_is_told_by_its_id_and_goes_on() -> None:
    api, told = FakeApi(seconds=0.8), list[str]()
    made = await orders.make_images(
        call_of(api, used_seconds=49.4, told=told), ImageArguments(prompt="x", model="m", count=2)
    )
    result = await results.of_images(api, made, keep_nothing)
    ids = [each["id"] for each in facts(result)["generations"]]
    assert {each["status"] for each in facts(result)["generations"]} == {"pending"}
    assert all(each in words(result) for each in ids)
    assert any(ids[0] in line for line in told)
    async with asyncio.timeout(10):
        while {each["status"] for each in api.kept.values()} != {"completed"}:
            await asyncio.sleep(0.05)


async def test_an_order_whose_answer_did_not_come_is_found_by_its_key() -> None:
    error = Refused("The outcome is not known yet.", code="generation_unknown", is_unknown=True)
    api = FakeApi(error=error)
    made = await orders.make_images(call_of(api), ImageArguments(prompt="x", model="m"))
    assert facts(await results.of_images(api, made, keep_nothing))["generations"][0]["status"] == "pending"


async def test_of_several_images_those_that_were_made_are_shown() -> None:
    api = FakeApi()
    [good] = await orders.make_images(call_of(api), ImageArguments(prompt="x", model="m"))
    bad = orders.Made(key="k.2", error=Refused("Too many.", code="rate_limit"))
    result = await results.of_images(api, [good, bad], keep_nothing)
    assert len(facts(result)["generations"]) == 1
    assert facts(result)["errors"] == [{"code": "rate_limit", "message": "Too many.", "param": None}]
    refused = await results.of_images(api, [bad, bad], keep_nothing)
    assert refused.is_error


async def test_a_wait_that_breaks_off_hides_no_job() -> None:
    api = FakeApi()
    generation_id = await orders.order_video(call_of(api), VideoArguments(prompt="x", model="m"))
    found = await orders.wait_for_video(call_of(api), generation_id)
    result = await results.of_generation(api, found, keep_nothing, is_wanted=True)
    assert (facts(result)["id"], facts(result)["progress"]) == (generation_id, 0.5)
    assert "get_generation" in words(result)


def test_keys_are_one_for_a_repeat_and_another_for_all_else() -> None:
    keys, params = Keys(), {"name": "generate_image", "arguments": {"prompt": "x"}}
    one, other = (Origin(who="a", session=session) for session in ("s", "t"))

    def key_of(origin: Origin, id: object, **more: Any) -> str:
        return keys.key_of(origin, id, {**params, **more}).text

    base = key_of(one, 1)
    assert key_of(one, 1) == base
    different = [
        key_of(other, 1),
        key_of(Origin(who="b", session="s"), 1),
        key_of(one, 2),
        key_of(one, "1"),
        key_of(one, 1, name="generate_video"),
        key_of(one, 1, arguments={"prompt": "y"}),
    ]
    assert len({base, *different}) == 7
    nothing = Origin(who="a", session=None)
    lost = keys.key_of(nothing, 1, params)
    assert keys.key_of(nothing, 1, params).text != lost.text
    keys.answer_is_lost(lost)
    assert keys.key_of(Origin(who="b", session=None), 1, params).text != lost.text
    assert keys.key_of(nothing, 2, params).text != lost.text
    assert keys.key_of(nothing, 1, params).text == lost.text
    assert keys.key_of(nothing, 1, params).text != lost.text


async def test_events_are_read_whatever_pieces_they_come_in() -> None:
    stream = (
        b': hello\r\n\r\nevent: progress\r\ndata: {"a":1}\r\n\r\nevent: completed\r\ndata: {"b":"\xc3\xa9"}\r\n\r\n'
    )
    for size in (1, 2, 7, 1000):

        async def pieces(size: int = size) -> AsyncIterator[bytes]:
            for at in range(0, len(stream), size):
                yield stream[at : at + size]

        assert [event async for event in parse_events(pieces())] == [("progress", {"a": 1}), ("completed", {"b": "é"})]


def test_an_id_tells_when_it_was_made() -> None:
    assert abs(made_at(new_generation_id()).timestamp() - time.time()) < 60
    assert made_at("req-01ARZ3NDEKTSV4RRFFQ69G5FAV").isoformat() == "2016-07-30T23:54:10.259000+00:00"
