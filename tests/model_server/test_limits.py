"""What hostile or unlucky callers cannot do: fill memory or disk, lose another's file, have words left out."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Failed, FailureClass
from safelight.model_server.app import make_app
from safelight.model_server.bodies import Ordered, Refused, read_order
from safelight.model_server.desk import Desk, Job
from safelight.model_server.forms import read_form
from safelight.model_server.pictures import Unreadable, opened
from safelight.outbound.backend_api import Reply
from safelight.outbound.multipart import FilePart, multipart
from safelight.providers.openai.errors import refusal_of
from safelight.providers.openai.settings import FLAVORS
from tests.model_server.stand_in import StandIn
from tests.providers.openai.media import picture
from tests.support.asgi import served

IMAGE = {"model": "fake-image", "prompt": "a hill"}
FORM = "multipart/form-data; boundary=b"


def read(body: dict[str, Any], makes: GenerationType = GenerationType.IMAGE) -> Ordered:
    return read_order(json.dumps(body).encode(), "application/json", makes, needs_image=False)


@pytest.fixture
def runner() -> StandIn:
    return StandIn()


@pytest.fixture
async def desk(runner: StandIn, tmp_path: Path) -> AsyncIterator[Desk]:
    opened_desk = Desk(runner, tmp_path, most_ended=2, most_waiting_bytes=1000)
    yield opened_desk
    await opened_desk.close()


def take(desk: Desk, runner: StandIn, ordered: Ordered, key: str | None = None) -> Job:
    pipeline = next(each for each in runner.pipelines if each.name == ordered.model)
    return desk.take(pipeline, ordered, key)[0]


async def done(job: Job) -> Job:
    async with asyncio.timeout(20):
        await job.ended.wait()
    return job


async def test_what_took_long_is_not_the_first_to_go(desk: Desk, runner: StandIn, tmp_path: Path) -> None:
    runner.is_held = True
    slow = take(desk, runner, read({**IMAGE, "model": "fake-video"}, GenerationType.VIDEO))
    while not runner.works:
        await asyncio.sleep(0)
    quick = [take(desk, runner, read(IMAGE)) for _ in range(4)]
    while len(runner.works) < 5:
        await asyncio.sleep(0)
    for job in quick:
        desk.cancel(job)
    runner.is_held = False
    assert (await done(slow)).status == "completed"
    assert desk.find(slow.id, GenerationType.VIDEO) is slow and slow.file is not None and slow.file.exists()
    assert [desk.find(job.id, GenerationType.IMAGE) for job in quick] == [None, None, None, quick[3]]


async def test_files_take_no_more_than_so_much_of_the_disk(runner: StandIn, tmp_path: Path) -> None:
    one = len(picture(64, 64, "png", 1))
    desk = Desk(runner, tmp_path, most_file_bytes=3 * one)
    jobs = [await done(take(desk, runner, read({**IMAGE, "seed": 1}))) for _ in range(5)]
    assert [desk.find(job.id, GenerationType.IMAGE) is job for job in jobs] == [False, False, True, True, True]
    assert len(list(tmp_path.iterdir())) == 3
    for job in jobs[2:]:
        desk.forget(job)
    assert not list(tmp_path.iterdir())
    assert desk.find((await done(take(desk, runner, read(IMAGE)))).id, GenerationType.IMAGE) is not None
    await desk.close()


async def test_pictures_that_wait_take_no_more_than_so_much_memory(desk: Desk, runner: StandIn) -> None:
    runner.is_held = True
    data = picture(16, 16)
    fields = [("model", "fake-image"), ("prompt", "a hill")]
    body, content_type = multipart(fields, [FilePart("image", "a.png", "image/png", data.ljust(600, b"\0"))])
    ordered = read_order(body, content_type, GenerationType.IMAGE, needs_image=True)
    first = take(desk, runner, ordered)
    with pytest.raises(Refused) as refusal:
        take(desk, runner, ordered)
    assert (refusal.value.fault.code, refusal.value.fault.status) == ("queue_full", 429)
    assert refusal.value.fault.retry_after_seconds
    take(desk, runner, read(IMAGE))
    desk.cancel(first)
    take(desk, runner, ordered)


async def test_what_is_stopped_as_its_file_is_written_leaves_none(
    desk: Desk, runner: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, write = threading.Event(), threading.Event(), Path.write_bytes

    def slowly(path: Path, data: bytes) -> int:
        begun.set()
        assert go_on.wait(20)
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    job = take(desk, runner, read(IMAGE), "key")
    assert await asyncio.to_thread(begun.wait, 20), "the loop goes on as a file is written"
    desk.cancel(job)
    desk.forget(job)
    again = take(desk, runner, read(IMAGE), "key")
    go_on.set()
    assert (await done(again)).status == "completed"
    assert job.task is not None
    await asyncio.wait([job.task])
    assert (job.status, job.file) == ("cancelled", None)
    assert again.file is not None and list(tmp_path.iterdir()) == [again.file]


async def test_a_disk_that_is_full_completes_nothing(
    desk: Desk, runner: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    job = await done(take(desk, runner, read(IMAGE)))
    assert job.status == "failed" and job.fault is not None and job.fault.code == "server_error"
    assert job.file is None and not list(tmp_path.iterdir())


async def test_the_same_order_is_the_same_however_it_is_written(runner: StandIn) -> None:
    options = {"max_sequence_length": 2**70}
    one = {"model": "fake-video", "prompt": "a hill", **options}
    async with served(make_app(runner, None)) as client:
        headers = {"Idempotency-Key": "k"}
        replies = [
            await client.post("/v1/videos", json=body, headers=headers)
            for body in (one, dict(reversed(one.items())), {**one, "max_sequence_length": 2})
        ]
    assert [reply.status_code for reply in replies] == [200, 200, 409]


async def test_a_file_that_goes_as_it_is_answered_is_told(runner: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", gone)
    async with served(make_app(runner, None)) as client:
        reply = await client.post("/v1/images/generations", json=IMAGE)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_nothing_is_taken_for_another_value_than_was_written() -> None:
    texts = {"a": "2", "b": "null", "c": "true", "d": None}
    assert read({**IMAGE, **texts}).work.options == {"a": "2", "b": "null", "c": "true"}
    body, content_type = multipart([*IMAGE.items(), ("a", "2"), ("c", "true")])
    form = read_order(body, content_type, GenerationType.IMAGE, needs_image=False)
    assert form.work.options == {"a": 2, "c": True}
    assert not read({**IMAGE, "n": None, "quality": None, "style": None, "response_format": None}).work.options


@pytest.mark.parametrize(
    "parts",
    [[("a", "1"), ("a", "2")], [("prompt", "x"), ("prompt", "y")]],
    ids=["an option twice", "a prompt twice"],
)
def test_of_two_values_none_is_dropped(parts: list[tuple[str, str]]) -> None:
    body, content_type = multipart([("model", "fake-image"), ("prompt", "a hill"), *parts])
    with pytest.raises(Refused, match="twice"):
        read_order(body, content_type, GenerationType.IMAGE, needs_image=False)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"--b\r\n" * 500, "too many parts"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n' + b"x:y\r\n" * 5000 + b"\r\nd\r\n--b--", "too long"),
        (b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--b--', "no UTF-8"),
    ],
)
def test_a_form_that_costs_more_than_it_says_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read_order(body, FORM, GenerationType.IMAGE, needs_image=False)


def test_a_form_is_not_taken_to_pieces_without_end() -> None:
    class Counting(bytes):
        def split(self, mark: Any = None, most: Any = -1) -> list[bytes]:
            assert 0 < most <= 1000
            return super().split(mark, most)

        def __radd__(self, other: bytes) -> bytes:
            return Counting(other + bytes(self))

    with pytest.raises(ValueError, match="too many"):
        read_form(Counting(b"--b\r\n" * 2000), FORM)


@pytest.mark.parametrize(
    "document",
    [
        IMAGE | {f"x{at}": 1 for at in range(300)},
        IMAGE | {"x": [0] * 1_000_001},
    ],
    ids=["fields", "values"],
)
def test_a_document_of_more_than_an_order_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        read(document)
    assert refusal.value.fault.code == "invalid_json"


async def test_a_name_is_not_told_at_length(runner: StandIn) -> None:
    async with served(make_app(runner, None)) as client:
        reply: httpx.Response = await client.post("/v1/images/generations", json={**IMAGE, "x" * 100_000: 1})
    assert reply.json()["error"]["code"] == "unknown_parameter" and len(reply.content) < 1000


def _encoded(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind)
    return file.getvalue()


def test_pictures_are_opened_that_are_pictures_alone() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        assert (opened(_encoded(kind)).size, opened(_encoded(kind)).mode) == ((8, 8), "RGB")
    for data in (_encoded("EPS"), _encoded("TIFF"), b"", b"%!PS-Adobe-3.0 EPSF-3.0\n", _encoded("PNG")[:40]):
        with pytest.raises(Unreadable, match="cannot be read"):
            opened(data)
    with pytest.raises(Unreadable, match="too large"):
        opened(_encoded("BMP", (1, 1))[:18] + (9000).to_bytes(4, "little") * 2 + _encoded("BMP", (1, 1))[26:])


@pytest.mark.parametrize("code", ["too_many_images", "invalid_frames", "wrong_size"])
def test_what_the_operator_has_to_mend_is_not_the_customers_fault(code: str) -> None:
    body = json.dumps({"error": {"code": code, "type": "invalid_request_error", "message": "m"}}).encode()
    outcome = refusal_of(Reply(400, {"content-type": "application/json"}, body), FLAVORS["model-server"])
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT


async def test_what_was_stopped_stays_stopped_however_often(runner: StandIn) -> None:
    runner.is_held = True
    headers = {"Idempotency-Key": "k", "Prefer": "respond-async"}
    async with served(make_app(runner, None)) as client:
        assert (await client.post("/v1/images/generations", json=IMAGE, headers=headers)).status_code == 202
        for _ in range(3):
            assert (await client.delete("/v1/images/k")).json()["status"] == "cancelled"
            assert (await client.get("/v1/images/k")).json()["status"] == "cancelled"
        again = await client.post("/v1/images/generations", json=IMAGE, headers=headers)
        assert (again.json()["status"], again.headers["idempotency-replayed"]) == ("cancelled", "true")
    assert len(runner.works) <= 1


async def test_a_page_in_a_browser_orders_nothing_without_a_key(runner: StandIn) -> None:
    page = {"Origin": "https://elsewhere.example", "Content-Type": "text/plain"}
    async with served(make_app(runner, None)) as client:
        reply = await client.post("/v1/images/generations", content=json.dumps(IMAGE), headers=page)
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "origin_refused")
        assert (await client.delete("/v1/images/k", headers=page)).status_code == 403
    assert not runner.works
    async with served(make_app(runner, "sk-1")) as client:
        with_key = page | {"Authorization": "Bearer sk-1"}
        assert (
            await client.post("/v1/images/generations", content=json.dumps(IMAGE), headers=with_key)
        ).status_code == 200


def test_a_server_that_is_not_up_behind_its_proxy_is_asked_again() -> None:
    path_unknown = Reply(404, {"content-type": "text/plain"}, b"Path '/v1/videos' not found.")
    own = Reply(404, {}, b'{"error": {"code": "model_not_found", "type": "invalid_request_error", "message": "m"}}')
    for reply, flavor, reason in (
        (path_unknown, "model-server", FailureClass.TRANSIENT),
        (own, "model-server", FailureClass.PERMANENT),
        (path_unknown, "openai", FailureClass.PERMANENT),
    ):
        outcome = refusal_of(reply, FLAVORS[flavor])  # type: ignore[index]
        assert isinstance(outcome, Failed) and outcome.reason is reason
