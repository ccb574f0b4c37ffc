"""Videos over plain HTTP: as other clients send and read them, in parts, and as nobody should."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from PIL import Image

from safelight.providers.noop import mp4, png
from tests.money.shop import Shop
from tests.openai_dialect.videos.site import Site
from tests.support.tenants import Tenant

NOWHERE = "req-" + "0" * 26
PICTURE = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
HILL = {"model": "clip", "prompt": "a hill"}


@asynccontextmanager
async def plain(site: Site, customer: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.api.base_url, headers=customer.headers, timeout=60) as client:
        yield client


@pytest.fixture
async def http(site: Site, shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client of a new workspace."""
    async with plain(site, await shop.customer("10")) as client:
        yield client


async def ended(http: httpx.AsyncClient, video_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            found: dict[str, Any] = (await http.get(f"/v1/videos/{video_id}")).json()
            if found["status"] in ("completed", "failed"):
                return found
            assert found["error"] is None
            await asyncio.sleep(0.05)


async def made(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A video to its end."""
    answer = await http.post("/v1/videos", json={**HILL, **fields})
    assert answer.status_code == 200, answer.text
    return await ended(http, answer.json()["id"])


async def test_the_fields_of_a_video(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/videos", json=HILL)
    video = answer.json()
    assert list(video) == [
        "id",
        "object",
        "model",
        "status",
        "progress",
        "created_at",
        "completed_at",
        "expires_at",
        "seconds",
        "size",
        "prompt",
        "error",
        "remixed_from_video_id",
    ]
    assert answer.headers["x-ratelimit-remaining"]
    assert (type(video["progress"]), type(video["created_at"]), video["seconds"]) == (int, int, "4")
    done = await ended(http, video["id"])
    assert done.pop("usage")["total_cost"] == 0.048
    assert list(done) == list(video)


async def test_when_to_ask_again_is_told_while_there_is_something_to_ask(http: httpx.AsyncClient) -> None:
    video_id = (await http.post("/v1/videos", json={**HILL, "model": "clip-endless"})).json()["id"]
    assert (await http.get(f"/v1/videos/{video_id}")).headers["openai-poll-after-ms"] == "3000"
    await http.delete(f"/v1/videos/{video_id}")
    assert "openai-poll-after-ms" not in (await http.get(f"/v1/videos/{video_id}")).headers


async def test_n8n(http: httpx.AsyncClient) -> None:
    """Its node sends a form, asks until it is completed, and takes the content's type from its headers."""
    fields = {"model": "sora-2", "prompt": "a hill", "seconds": "8", "size": "1280x720"}
    form = {name: (None, value) for name, value in fields.items()}
    for more in ({}, {"input_reference": ("start.png", png(), "image/png")}):
        answer = await http.post("/v1/videos", files={**form, **more})
        assert answer.status_code == 200, answer.text
        done = await ended(http, answer.json()["id"])  # it throws where ``error`` is truthy
        assert (done["status"], done["seconds"]) == ("completed", "8")
        content = await http.get(f"/v1/videos/{done['id']}/content")
        assert (content.status_code, content.headers["content-type"]) == (200, "video/mp4")
        assert content.headers["content-disposition"] == f'inline; filename="{done["id"]}-0.mp4"'


async def test_litellm(http: httpx.AsyncClient, shop: Shop) -> None:
    """It sends each field as a part of its own, or beside a file that it calls a PNG; and wraps ids."""
    fields = {"model": "sora-2", "prompt": "a hill", "seconds": "4", "size": "720x1280", "user": "ann"}
    first = await http.post("/v1/videos", files=tuple((name, (None, value)) for name, value in fields.items()))
    file = ("input_reference.png", jpeg(), "image/png")
    second = await http.post("/v1/videos", data=fields, files=[("input_reference", file)])
    for answer in (first, second):
        assert answer.status_code == 200, answer.text
        video_id = answer.json()["id"]
        assert answer.json()["size"] == "720x1280"
        wrapped = base64.b64encode(f"litellm:custom_llm_provider:openai;model_id:;video_id:{video_id}".encode())
        assert base64.b64decode(wrapped).decode().rpartition("video_id:")[2] == video_id
        await ended(http, video_id)
        content = await http.get(f"/v1/videos/{video_id}/content?variant=thumbnail")
        assert content.headers["content-type"] == "image/webp"
        remix = await http.post(f"/v1/videos/{video_id}/remix", json={"prompt": "a lake"})
        assert remix.json()["remixed_from_video_id"] == video_id
    rows = await shop.query("select end_user from generations where id = %s", first.json()["id"])
    assert rows[0][0] is not None
    refused = await http.post("/v1/videos", json={**HILL, "characters": [{"id": "char_1"}]})
    assert refused.json()["error"]["param"] == "characters"


def jpeg() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(target, "JPEG")
    return target.getvalue()


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {**HILL, "input_reference": {"image_url": PICTURE}}},
        {"json": {**HILL, "input_reference": PICTURE}},
        {"files": {"model": (None, "clip"), "prompt": (None, "a hill"), "input_reference": (None, PICTURE)}},
        {"files": {"model": (None, "clip"), "prompt": (None, "a hill"), "input_reference[image_url]": (None, PICTURE)}},
        {
            "files": {
                "model": (None, "clip"),
                "prompt": (None, "a hill"),
                "input_reference": (None, json.dumps({"image_url": PICTURE})),
            }
        },
        {"data": HILL, "files": {"input_reference": ("blob", png(), "application/octet-stream")}},
    ],
    ids=["json", "json text", "form text", "form brackets", "form json", "file of no type"],
)
async def test_a_picture_however_it_is_sent(http: httpx.AsyncClient, shop: Shop, sent: dict[str, Any]) -> None:
    answer = await http.post("/v1/videos", **sent)
    assert answer.status_code == 200, answer.text
    ((spec,),) = await shop.query("select request from generations where id = %s", answer.json()["id"])
    assert [each["role"] for each in spec["references"]] == ["first_frame"]


async def test_the_role_is_what_the_model_takes(http: httpx.AsyncClient, shop: Shop) -> None:
    body = {"prompt": "a hill", "input_reference": PICTURE}
    answer = await http.post("/v1/videos", json={**body, "model": "clip-plain"})
    ((spec,),) = await shop.query("select request from generations where id = %s", answer.json()["id"])
    assert [each["role"] for each in spec["references"]] == ["reference_image"]
    assert answer.json()["seconds"] == "5", "it lists no 4"
    refused = await http.post("/v1/videos", json={**body, "model": "clip-bare"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input_reference")
    unnamed = await http.post("/v1/videos", json=body)
    assert unnamed.json()["model"] == "clip", "the first that takes one"


async def test_content_in_ranges_and_by_its_tag(http: httpx.AsyncClient) -> None:
    path = f"/v1/videos/{(await made(http))['id']}/content"
    whole = await http.get(path, headers={"Accept": "application/binary"})
    assert whole.status_code == 200
    tag, length = whole.headers["etag"], len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    part = await http.get(path, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, whole.content[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{length}"
    tail = await http.get(path, headers={"Range": "bytes=-9", "If-Range": tag})
    assert (tail.status_code, tail.content) == (206, whole.content[-9:])
    stale = await http.get(path, headers={"Range": "bytes=4-7", "If-Range": '"another"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    assert (await http.get(path, headers={"Range": f"bytes={length}-"})).status_code == 416
    assert (await http.get(path, headers={"If-None-Match": tag})).status_code == 304
    head = await http.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(length))
    assert head.headers["content-type"] == "video/mp4"
    poster = await http.head(path, params={"variant": "thumbnail"})
    assert (poster.status_code, poster.headers["content-type"]) == (200, "image/webp")


async def test_content_that_is_not_there(http: httpx.AsyncClient, shop: Shop) -> None:
    video_id = (await http.post("/v1/videos", json={**HILL, "model": "clip-endless"})).json()["id"]
    early = await http.get(f"/v1/videos/{video_id}/content")
    assert (early.status_code, early.json()["error"]["code"]) == (400, "invalid_parameter")
    assert "not completed" in early.json()["error"]["message"]
    await http.delete(f"/v1/videos/{video_id}")
    path = f"/v1/videos/{(await made(http))['id']}/content"
    for variant in ("spritesheet", "poster"):
        refused = await http.get(path, params={"variant": variant})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "variant")
    video_id = path.split("/")[3]
    await shop.query("update media set deletes_at = now() - interval '1 s' where generation_id = %s", video_id)
    for variant in ("video", "thumbnail"):
        gone = await http.get(path, params={"variant": variant})
        assert (gone.status_code, gone.json()["error"]["code"]) == (410, "download_expired")


async def test_one_that_is_delivered_once(http: httpx.AsyncClient) -> None:
    path = f"/v1/videos/{(await made(http, store=False))['id']}/content"
    assert (await http.get(path)).status_code == 200
    async with asyncio.timeout(30):
        while (await http.get(path)).status_code != 410:
            await asyncio.sleep(0.05)


async def test_one_that_was_looked_at_is_not_joined(http: httpx.AsyncClient) -> None:
    video_id = (await made(http))["id"]
    repeat = await http.post("/v1/videos", json=HILL, headers={"x-stainless-retry-count": "1"})
    assert repeat.json()["id"] != video_id


async def test_a_clip_shorter_than_ordered_is_charged_as_it_is(http: httpx.AsyncClient) -> None:
    done = await made(http, model="clip-short")
    assert (done["seconds"], done["usage"]["quantity"], done["usage"]["total_cost"]) == ("4", 3, 0.036)


async def test_another_workspaces_video_is_as_absent_as_one_that_never_was(site: Site, shop: Shop) -> None:
    owner, stranger = await shop.customer("10"), await shop.customer("10")
    async with plain(site, owner) as mine, plain(site, stranger) as theirs:
        video_id = (await made(mine))["id"]
        running_id = (await mine.post("/v1/videos", json={**HILL, "model": "clip-endless"})).json()["id"]
        image = await theirs.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"})
        image_id = image.json()["id"]
        for method, below, body in (
            ("GET", "", None),
            ("HEAD", "", None),
            ("DELETE", "", None),
            ("GET", "/content", None),
            ("GET", "/content?variant=thumbnail", None),
            ("POST", "/remix", {"prompt": "a lake"}),
        ):
            answers = [
                await theirs.request(method, f"/v1/videos/{each}{below}", json=body)
                for each in (video_id, running_id, image_id, NOWHERE, "nonsense")
            ]
            assert {answer.status_code for answer in answers} == {404}, (method, below)
            assert len({answer.text for answer in answers}) == 1, (method, below)
        assert (await theirs.get("/v1/videos")).json() == {
            "object": "list",
            "data": [],
            "first_id": None,
            "last_id": None,
            "has_more": False,
        }
        after = await theirs.get("/v1/videos", params={"after": video_id, "order": "asc"})
        assert after.json()["data"] == []
        assert (await mine.get(f"/v1/videos/{video_id}")).json()["status"] == "completed"
        assert (await mine.get(f"/v1/videos/{running_id}")).json()["status"] != "failed", "nobody else canceled it"
        await mine.delete(f"/v1/videos/{running_id}")
    assert await shop.count(stranger) == 1


BAD: list[tuple[dict[str, Any], str | None]] = [
    ({}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": " \n"}, "prompt"),
    ({"prompt": "x" * 4097}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": "a", "model": "sora-3"}, "model"),
    ({"prompt": "a", "model": "gpt-image-1"}, "model"),
    ({"prompt": "a", "seconds": "7"}, "seconds"),
    ({"prompt": "a", "seconds": 7}, "seconds"),
    ({"prompt": "a", "seconds": 4.5}, "seconds"),
    ({"prompt": "a", "seconds": True}, "seconds"),
    ({"prompt": "a", "seconds": ["4"]}, "seconds"),
    ({"prompt": "a", "size": "large"}, "size"),
    ({"prompt": "a", "size": "0x0"}, "size"),
    ({"prompt": "a", "size": "1280x720", "aspect_ratio": "1:1"}, "size"),
    ({"prompt": "a", "aspect_ratio": "7:5"}, "aspect_ratio"),
    ({"prompt": "a", "resolution": "8K"}, "resolution"),
    ({"prompt": "a", "sound": "loud"}, "sound"),
    ({"prompt": "a", "seed": -1}, "seed"),
    ({"prompt": "a", "retention_seconds": 59}, "retention_seconds"),
    ({"prompt": "a", "retention_seconds": 10**9}, "retention_seconds"),
    ({"prompt": "a", "provider_options": {"lasers": 1}}, "provider_options.lasers"),
    ({"prompt": "a", "webhook_url": "http://localhost/"}, "webhook_url"),
    ({"prompt": "a", "input_reference": ""}, "input_reference"),
    ({"prompt": "a", "input_reference": "AAAA" * 40}, "input_reference"),
    ({"prompt": "a", "input_reference": {"file_id": "file-1"}}, "input_reference.file_id"),
    ({"prompt": "a", "input_reference": {"image_url": "http://localhost/a.png"}}, "input_reference"),
    ({"prompt": "a", "input_reference": "data:image/png;base64,AAAA"}, "input_reference"),
    ({"prompt": "a", "duration": 4}, "duration"),
    ({"prompt": "a", "n": 2}, "n"),
]


@pytest.mark.parametrize(("body", "param"), BAD, ids=[json.dumps(body)[:40] for body, _ in BAD])
async def test_bad_input_names_its_parameter(http: httpx.AsyncClient, body: dict[str, Any], param: str | None) -> None:
    answer = await http.post("/v1/videos", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error
    assert (await http.get("/v1/videos")).json()["data"] == []


BAD_FORMS: list[tuple[dict[str, Any], str | None]] = [
    ({"prompt": "a", "seconds": "4.0"}, "seconds"),
    ({"prompt": "a", "sound": "yes"}, "sound"),
    ({"prompt": "a", "seed": "x"}, "seed"),
    ({"prompt": "a", "input_reference": ("a.mp4", mp4(1), "video/mp4")}, "input_reference"),
    ({"prompt": "a", "input_reference": ("a.png", png()[:40], "image/png")}, "input_reference"),
    ({"prompt": "a", "mask": ("a.png", png(), "image/png")}, "mask"),
    ({"prompt": "a", "video": ("a.mp4", b"0", "video/mp4")}, "video"),
    (
        {"prompt": "a", "input_reference": ("a.png", png()), "input_reference[image_url]": PICTURE},
        "input_reference",
    ),
]


@pytest.mark.parametrize(("fields", "param"), BAD_FORMS, ids=[f"{n}" for n in range(len(BAD_FORMS))])
async def test_a_bad_form_names_its_parameter(
    http: httpx.AsyncClient, fields: dict[str, Any], param: str | None
) -> None:
    form = {name: value if isinstance(value, tuple) else (None, value) for name, value in fields.items()}
    answer = await http.post("/v1/videos", files=form)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error
    assert (await http.get("/v1/videos")).json()["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=a", "limit"),
        ("order=up", "order"),
        ("after=a", "after"),
        ("after=a&after=b", "after"),
    ],
)
async def test_a_bad_page(http: httpx.AsyncClient, query: str, param: str) -> None:
    answer = await http.get(f"/v1/videos?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_bad_remix(http: httpx.AsyncClient) -> None:
    video_id = (await made(http))["id"]
    for body, param in (({}, "prompt"), ({"prompt": " "}, "prompt"), ({"prompt": "a", "seconds": 8}, "seconds")):
        answer = await http.post(f"/v1/videos/{video_id}/remix", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    answer = await http.post(f"/v1/videos/{video_id}/remix", files={"prompt": (None, "a"), "video": ("a.mp4", b"0")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "video"), answer.text
    assert len((await http.get("/v1/videos")).json()["data"]) == 1
