"""What goes wrong on the way to a server, and is made to happen here; and what a look at a server finds."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from PIL import Image

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.media import Reference
from safelight.domain.outcomes import (
    Accepted,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Found,
    Pending,
    RemoteFile,
    Unknown,
)
from safelight.outbound.backend_api import BackendApi
from safelight.providers.comfyui.history import SavedFile, failure_in, refusal_words
from safelight.providers.comfyui.progress import ProgressListener, _Watched
from safelight.providers.registry import KINDS
from tests.domain.catalogs import IMAGE
from tests.media.media_files import picture
from tests.providers.comfyui.exchange import paint
from tests.providers.comfyui.orders import EDIT, FIELDS, Desk, order
from tests.providers.comfyui.servers import ComfyServer, Fake
from tests.support.server import eventually


@asynccontextmanager
async def opened(server: ComfyServer, folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    desk = Desk(server.base_url, folder, **settings)
    try:
        yield desk
    finally:
        await desk.provider.close()


async def test_an_order_whose_answer_is_lost_is_found_and_run_once(fake: Callable[..., Fake], tmp_path: Path) -> None:
    server = fake()
    async with opened(server, tmp_path) as desk:
        server.command(loses_answer=True)
        job = desk.job()
        assert isinstance(await desk.provider.submit(order(job), job), Unknown)
        found = await desk.provider.find(job)
        assert isinstance(found, Found)
        if isinstance(found.outcome, Accepted):
            assert found.outcome.handle["prompt_id"] == job.idempotency_key
            assert isinstance(await desk.ended(found.outcome.handle, job), Completed)
        assert server.taken() == [job.idempotency_key]


async def test_an_order_that_may_be_repeated_is_looked_for_first(fake: Callable[..., Fake], tmp_path: Path) -> None:
    server = fake()
    async with opened(server, tmp_path, repeatable=True) as desk:
        assert desk.provider.repeatable
        server.command(loses_answer=True)
        job = desk.job()
        assert isinstance(await desk.provider.submit(order(job), job), Unknown)
        again = await desk.provider.submit(order(job), job)
        assert isinstance(again, Accepted | Completed)
        assert server.taken() == [job.idempotency_key]


async def test_without_a_websocket_only_progress_is_missing(fake: Callable[..., Fake], tmp_path: Path) -> None:
    async with opened(fake("--deaf"), tmp_path) as desk:
        job = desk.job()
        handle = await desk.taken(job, provider_options={"seconds": 0.5})
        while isinstance(outcome := await desk.provider.poll(handle, job), Pending):
            assert outcome.progress is None
            await asyncio.sleep(0.05)
        assert isinstance(outcome, Completed)


async def test_a_websocket_that_breaks_is_opened_again(fake: Callable[..., Fake], tmp_path: Path) -> None:
    server = fake()
    async with opened(server, tmp_path) as desk:
        await desk.made(desk.job())
        await asyncio.to_thread(eventually, lambda: server.ask("/_test/taken")["listening"], "it listens")
        server.kill()
        server.start()
        job = desk.job()
        handle = await desk.taken(job, provider_options={"seconds": 60.0, "steps": 600})
        async with asyncio.timeout(60):
            while True:
                outcome = await desk.provider.poll(handle, job)
                assert isinstance(outcome, Pending)
                if outcome.progress:
                    break
                await asyncio.sleep(0.05)
        await desk.provider.cancel(handle, job)


async def test_success_is_not_believed_before_it_is_in_the_history(fake: Callable[..., Fake], tmp_path: Path) -> None:
    async with opened(fake("--late", "1"), tmp_path) as desk:
        job = desk.job()
        handle = await desk.taken(job)
        seen = [await desk.provider.poll(handle, job)]
        while not isinstance(seen[-1], Completed):
            await asyncio.sleep(0.05)
            seen.append(await desk.provider.poll(handle, job))
        assert all(isinstance(outcome, Pending) for outcome in seen[:-1])
        assert len(seen) > 3


async def test_uploads_are_used_by_the_name_that_is_answered(fake: Callable[..., Fake], tmp_path: Path) -> None:
    server = fake("--renames")
    async with opened(server, tmp_path) as desk:
        job = desk.job(desk.options(EDIT, references=["10.image"]))
        image = Reference(role="reference_image", mime_type="image/png", data=encoded(picture(24, 18)))
        with Image.open(await desk.file(await desk.made(job, references=(image,)))) as found:
            assert found.size == (24, 18)
        asked = server.ask(f"/history/{job.idempotency_key}")[job.idempotency_key]["prompt"][2]
        assert asked["10"]["inputs"]["image"] == f"kept/copy of {job.id}-0.png"


async def test_a_key_goes_with_everything(fake: Callable[..., Fake], tmp_path: Path) -> None:
    server = fake("--key", "s3cret")
    async with opened(server, tmp_path) as desk:
        refused = await desk.provider.submit(order(desk.job()), desk.job())
        assert isinstance(refused, Failed)
        assert refused.reason is FailureClass.AUTH
    async with opened(server, tmp_path, key="env:STUDIO_KEY") as desk:
        job = desk.job(desk.options(EDIT, references=["10.image"]))
        image = Reference(role="reference_image", mime_type="image/png", data=encoded(picture(24, 18)))
        handle = await desk.taken(job, references=(image,))
        await asyncio.to_thread(eventually, lambda: _is_listened_to(server), "the WebSocket has the key too")
        outcome = await desk.ended(handle, job)
        assert isinstance(outcome, Completed)
        with Image.open(await desk.file(outcome)) as found:
            assert found.size == (24, 18)


@pytest.mark.parametrize(
    ("status", "body"),
    [(502, b"<html>bad gateway</html>"), (200, b"<html>sign in</html>"), (200, b"[]"), (404, b"{}"), (500, b"{}")],
)
async def test_an_answer_that_says_nothing_ends_nothing(tmp_path: Path, status: int, body: bytes) -> None:
    async with answering(status, body) as base_url:
        desk = Desk(base_url, tmp_path)
        job = desk.job(age_seconds=600)
        handle = {"prompt_id": job.idempotency_key}
        for _ in range(4):
            assert isinstance(await desk.provider.poll(handle, job), Unknown)
        assert isinstance(await desk.provider.find(job), CannotTell)
        await desk.provider.close()


async def test_a_page_in_place_of_an_answer_to_an_order_is_unknown(tmp_path: Path) -> None:
    async with answering(200, b"<html>sign in</html>") as base_url:
        desk = Desk(base_url, tmp_path)
        assert isinstance(await desk.provider.submit(order(desk.job()), desk.job()), Unknown)
        await desk.provider.close()


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[str]:
    """A server that answers everything the same."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await runner.cleanup()


async def test_an_option_that_would_be_a_link_is_refused(desk: Desk) -> None:
    for value, word in ((["4", 0], "no text"), ({"a": 1}, "no text"), (None, "no text")):
        job = desk.job()
        outcome = await desk.provider.submit(order(job, provider_options={"steps": value}), job)
        assert isinstance(outcome, Failed)
        assert outcome.reason is FailureClass.BAD_INPUT
        assert word in outcome.detail
    unknown = await desk.provider.submit(order(job, provider_options={"sampler": "x"}), job)
    assert isinstance(unknown, Failed)
    assert "no place" in unknown.detail


async def test_a_job_under_way_ends_as_it_began_when_its_workflow_is_edited(desk: Desk, comfy: ComfyServer) -> None:
    options = desk.options()
    job = desk.job(options)
    handle = await desk.taken(job, seed=9, provider_options={"seconds": 1.0})
    (desk.folder / options.workflow).write_text("{}")
    second = Desk(comfy.base_url, desk.folder)  # as after a restart
    outcome = await second.ended(handle, job)
    assert isinstance(outcome, Completed)
    assert outcome.answer.seed == 9
    edited = desk.job(options)
    refused = await second.provider.submit(order(edited), edited)
    assert isinstance(refused, Failed)
    assert refused.reason is FailureClass.PERMANENT
    assert "no nodes" in refused.detail
    await second.provider.close()


def bound(desk: Desk, options: object, base_url: str, **model: Any) -> tuple[Any, Any]:
    """A model and its binding, as a catalog has them."""
    entry = {
        **IMAGE,
        "references": {},
        **model,
        "bindings": [{"connection": "studio", "options": msgspec.to_builtins(options)}],
    }
    connection = {"name": "studio", "kind": "comfyui", "base_url": base_url}
    document = {"models": [entry], "connections": [connection]}
    catalog = read_catalog(document, source="catalog.toml", kinds=KINDS)
    (found,) = catalog.models.values()
    return found, found.bindings[0]


async def found(desk: Desk, options: object, base_url: str, **model: Any) -> dict[str, list[str]]:
    """What a look finds, by level."""
    told: dict[str, list[str]] = {"ok": [], "warning": [], "problem": []}
    for finding in await desk.provider.check(*bound(desk, options, base_url, **model)):
        told[finding.level].append(f"{finding.subject}: {finding.text}")
        assert finding.level == "ok" or finding.remedy
    return told


async def test_a_look_at_a_good_server_finds_nothing_wrong(desk: Desk, comfy: ComfyServer) -> None:
    told = await found(desk, desk.options(), comfy.base_url)
    assert told["problem"] == told["warning"] == []
    assert told["ok"][0] == "server: ComfyUI 0.3.75 answers"


async def test_a_look_finds_what_a_workflow_lacks(desk: Desk, comfy: ComfyServer) -> None:
    graph = paint("x") | {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "absent.safetensors"}},
        "5": {"class_type": "NodeOfSomePack", "inputs": {}},
        "10": {"class_type": "LoadImage", "inputs": {"image": "replaced.png"}},
        "11": {"class_type": "SaveVideo", "inputs": {"codec": "av1"}},
    }
    fields = {**FIELDS, "references": ["10.image"]}
    sizes = {"1K": {"1:1": "8000x8000"}}
    tiny = {"aspect_ratios": ["1:1"], "resolutions": ["1K"], "sizes": sizes, "rates": [{"unit_price": "0.01"}]}
    told = await found(desk, desk.options(graph, **fields), comfy.base_url, **tiny)
    text = "\n".join(told["problem"])
    assert "node 5 (NodeOfSomePack): the server has no such node" in text
    assert "ckpt_name is 'absent.safetensors'" in text
    assert "dreamshaper_8.safetensors" in text
    assert "codec is 'av1'" in text
    assert "width 8000" in text
    assert "replaced.png" not in text
    assert comfy.queue() == ([], [])


async def test_a_look_finds_a_map_that_does_not_fit_and_a_prompt_without_a_place(
    desk: Desk, comfy: ComfyServer
) -> None:
    told = await found(desk, desk.options(seed="99.seed", width="3.breadth", output="7"), comfy.base_url)
    text = "\n".join(told["problem"])
    assert "fields.seed: the workflow has no node 99" in text
    assert "fields.width: node 3 (SafelightPaint) has no input 'breadth'" in text
    assert "fields.output" in text
    assert "prompt has no place" in told["warning"][0]


async def test_a_workflow_that_is_gone_is_told_once(desk: Desk, comfy: ComfyServer) -> None:
    options = desk.options()
    looked_at = bound(desk, options, comfy.base_url)
    (desk.folder / looked_at[1].options.workflow).unlink()
    assert await desk.provider.check(*looked_at) == []


async def test_a_look_finds_a_server_that_is_away_or_none(tmp_path: Path) -> None:
    desk = Desk("http://127.0.0.1:9", tmp_path)
    (problem,) = (await found(desk, desk.options(), "http://127.0.0.1:9"))["problem"]
    assert "does not answer" in problem
    await desk.provider.close()
    for status, body, word in (
        (200, b"hello", "is no ComfyUI"),
        (401, b"", "refuses us"),
        (200, json.dumps({"system": {}}).encode(), "the server has no such node"),
    ):
        async with answering(status, body) as base_url:
            desk = Desk(base_url, tmp_path)
            problems = (await found(desk, desk.options(), base_url))["problem"]
            assert word in "\n".join(problems)
            await desk.provider.close()


async def test_media_is_fetched_with_the_key_and_behind_the_address(tmp_path: Path) -> None:
    desk = Desk("https://studio.example/comfy/", tmp_path, allow=["10.0.0.0/8"])
    file = desk.provider._media(SavedFile(filename="a b_00001_.png"))
    assert file == RemoteFile(
        "https://studio.example/comfy/view?filename=a+b_00001_.png&subfolder=&type=output",
        headers={},
        allow=("studio.example:443", "10.0.0.0/8"),
    )
    await desk.provider.close()


def encoded(image: Any) -> bytes:
    return bytes(image.write_to_buffer(".png"))


def _is_listened_to(server: Fake) -> bool:
    return bool(server.ask("/_test/taken", key="s3cret")["listening"])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("execution_cached", {"nodes": 5}),
        ("execution_cached", {"nodes": ["x" * 100] * 1000}),
        ("progress", {"node": "1", "value": 10**400, "max": 1}),
        ("progress", {"node": "1", "value": 1, "max": 10**400}),
        ("progress", {"node": "1", "value": "1", "max": True}),
        ("progress_state", {"nodes": {"1": {"value": -(10**400), "max": 1.5}, "2": []}}),
        ("executing", {"node": {"a": 1}}),
    ],
)
def test_progress_that_is_none_breaks_nothing(kind: str, data: dict[str, Any]) -> None:
    listener = ProgressListener(BackendApi(HttpConnectionSettings(base_url="http://127.0.0.1:1"), {}))
    listener._watched["p"] = watched = _Watched({"1": {"class_type": "KSampler"}})
    listener._note(msgspec.json.encode({"type": kind, "data": {"prompt_id": "p", **data}}).decode())
    listener._note('{"a":' * 100_000)
    assert 0 <= (listener.fraction("p") or 0) <= 0.99
    assert watched._done.keys() <= {"1"}


@pytest.mark.parametrize(
    "said",
    [
        {"node_errors": {"1": {"errors": 5}, "2": [], "3": {"errors": [5]}}},
        {"status_str": "error", "messages": [[["a"], {}], [{}, {}], 5]},
    ],
)
def test_a_refusal_in_another_shape_is_one(said: dict[str, Any]) -> None:
    assert refusal_words(said)[0] is None
    if "messages" in said:
        assert isinstance(failure_in(said), Failed)
