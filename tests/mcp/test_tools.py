"""What each tool does, by the SDK's own client, in both revisions."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.contract.accounts import Account
from tests.mcp.hosts import ERAS, facts, host, links, pictures, words

TOOLS = [
    "generate_image",
    "generate_video",
    "quote",
    "list_models",
    "get_generation",
    "list_generations",
    "cancel_generation",
    "get_balance",
]


@pytest.mark.parametrize("era", ERAS)
async def test_every_tool_is_listed_in_order_with_what_the_catalog_offers(account: Account, era: str) -> None:
    async with host(account, era) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == TOOLS
    image = tools[0]
    assert "still" in image.input_schema["properties"]["model"]["enum"]
    assert "clip" not in image.input_schema["properties"]["model"]["enum"]
    assert image.input_schema["properties"]["resolution"]["enum"] == ["1K", "2K"]
    assert image.annotations is not None
    assert (image.annotations.read_only_hint, image.annotations.open_world_hint) == (False, True)
    assert all(tool.description and tool.output_schema and tool.annotations for tool in tools)


@pytest.mark.parametrize("era", ERAS)
async def test_an_image_is_shown_linked_and_told(account: Account, era: str) -> None:
    async with host(account, era) as client:
        result = await client.call_tool("generate_image", {"prompt": "a hill", "model": "still", "resolution": "2K"})
    [made] = facts(result)["generations"]
    assert made["status"] == "completed"
    assert made["usage"]["total_cost"] == 0.08
    [picture] = pictures(result)
    assert picture.mime_type == "image/webp"
    assert base64.b64decode(picture.data)[8:12] == b"WEBP"
    [link] = links(result)
    file = httpx.get(str(link.uri))
    assert (file.status_code, len(file.content), file.headers["content-type"]) == (200, link.size, link.mime_type)
    assert all(word in words(result) for word in (made["id"], "$0.08", made["data"][0]["deletes_at"], link.uri))


@pytest.mark.parametrize("era", ERAS)
async def test_a_video_is_waited_for_and_its_id_is_told_first(account: Account, era: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with host(account, era) as client:
        result = await client.call_tool(
            "generate_video", {"prompt": "a hill", "duration": 10, "sound": True}, progress_callback=on_progress
        )
    made = facts(result)
    assert (made["status"], made["type"], made["usage"]["total_cost"]) == ("completed", "video", 1.23456)
    assert made["id"] in (told[0][2] or "")
    assert told == sorted(told)
    assert [link.mime_type for link in links(result)] == ["video/mp4"]
    assert len(pictures(result)) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_the_tools_that_read(account: Account, era: str) -> None:
    async with host(account, era) as client:
        balance = facts(await client.call_tool("get_balance", {}))
        models = facts(await client.call_tool("list_models", {"type": "video"}))["models"]
        quote = facts(await client.call_tool("quote", {"type": "image", "resolution": "2K", "count": 3}))
        made = [
            facts(await client.call_tool("generate_image", {"prompt": "a hill"}))["generations"][0]["id"] for _ in "abc"
        ]
        page = facts(await client.call_tool("list_generations", {"limit": 2}))
        rest = facts(await client.call_tool("list_generations", {"after": page["data"][-1]["id"], "type": "image"}))
        one = facts(await client.call_tool("get_generation", {"id": made[0], "wait_seconds": 5}))
    assert balance == {"balance": "1000.00", "currency": "USD"}
    assert {model["type"] for model in models} == {"video"}
    assert (quote["total_cost"], quote["model"], quote["is_covered"]) == (0.24, "still", True)
    assert [each["id"] for each in page["data"] + rest["data"]] == made[::-1]
    assert page["has_more"]
    assert one["status"] == "completed"


async def test_a_video_is_canceled(account: Account) -> None:
    async with host(account) as client:
        ordered = httpx.post(
            f"{account.base_url}/v2/videos/generations",
            headers=account.headers,
            json={"model": "clip-endless", "prompt": "a hill"},
        ).json()["id"]
        canceled = facts(await client.call_tool("cancel_generation", {"id": ordered}))
        result = await client.call_tool("get_generation", {"id": ordered, "wait_seconds": 30})
        balance = facts(await client.call_tool("get_balance", {}))
    assert canceled["cancellation"] in ("canceled", "requested")
    assert facts(result)["status"] == "failed"
    assert balance["balance"] == "1000.00"


async def test_several_images_are_several_charges_and_one_result(account: Account) -> None:
    async with host(account) as client:
        result = await client.call_tool("generate_image", {"prompt": "a hill " * 500, "count": 4})
        balance = facts(await client.call_tool("get_balance", {}))
    made = facts(result)["generations"]
    assert len({each["id"] for each in made}) == 4
    assert len(pictures(result)) == len(links(result)) == 4
    assert balance["balance"] == "999.80"


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "param"),
    [
        ("generate_image", {"prompt": "x", "model": "none"}, "invalid_parameter", "model"),
        ("generate_image", {"prompt": "x", "aspect_ratio": "7:1"}, "invalid_parameter", "aspect_ratio"),
        ("generate_image", {"prompt": "x", "count": 5}, "invalid_parameter", "count"),
        ("generate_image", {"prompt": "x", "count": 2, "seed": 7}, "invalid_parameter", "seed"),
        ("generate_image", {"prompt": "x", "size": "big"}, "invalid_parameter", "size"),
        ("generate_image", {}, "parameter_missing", "prompt"),
        ("generate_image", {"prompt": " "}, "invalid_parameter", "prompt"),
        ("generate_image", {"prompt": "x", "model": "still-refused"}, "content_policy_violation", None),
        ("generate_image", {"prompt": "x", "model": "still-broken"}, "generation_failed", None),
        (
            "generate_image",
            {"prompt": "x", "reference_images": ["https://1.1.1.1/a.png", "/home/me/a.png"]},
            "invalid_parameter",
            "reference_images[1]",
        ),
        (
            "generate_video",
            {"prompt": "x", "first_frame": "data:image/png;base64,AAAA"},
            "invalid_parameter",
            "first_frame",
        ),
        ("generate_video", {"prompt": "x", "duration": 7}, "invalid_parameter", "duration"),
        ("get_generation", {"id": "req-nothing"}, "not_found", None),
        ("get_generation", {"id": "../../../v2/models"}, "not_found", "id"),
        ("cancel_generation", {"id": "req-../x?y"}, "not_found", "id"),
        ("list_generations", {"after": "yesterday"}, "invalid_parameter", "after"),
    ],
)
async def test_an_error_says_what_would_work(
    account: Account, tool: str, arguments: dict[str, Any], code: str, param: str | None
) -> None:
    async with host(account) as client:
        result = await client.call_tool(tool, arguments)
        balance = facts(await client.call_tool("get_balance", {}))
    assert result.is_error
    told = (result.meta or {})["safelight/error"]
    assert (told["code"], told["param"]) == (code, param), told
    assert code in words(result)
    assert told["message"] in words(result)
    assert balance["balance"] == "1000.00"


async def test_a_failed_video_is_an_error(account: Account) -> None:
    async with host(account) as client:
        result = await client.call_tool("generate_video", {"prompt": "x", "model": "clip-broken"})
    assert result.is_error
    assert "generation_failed" in words(result)


async def test_an_earlier_image_is_gone_by_and_anothers_is_none(account: Account, accounts: Any) -> None:
    other = accounts.create()
    async with host(account) as mine, host(other) as theirs:
        first = facts(await mine.call_tool("generate_image", {"prompt": "a hill"}))["generations"][0]["id"]
        asked = {"prompt": "the same at night", "reference_images": [first]}
        second = facts(await mine.call_tool("generate_image", asked))
        moved = facts(await mine.call_tool("generate_video", {"prompt": "it moves", "first_frame": first}))
        refused = await theirs.call_tool("generate_image", asked)
        never = "req-01ARZ3NDEKTSV4RRFFQ69G5FAV"
        missing = await theirs.call_tool("generate_image", {**asked, "reference_images": [never]})
        of_a_video = await mine.call_tool("generate_image", {**asked, "reference_images": [moved["id"]]})
        unseen = [
            words(await theirs.call_tool(tool, {"id": each}))
            for tool in ("get_generation", "cancel_generation")
            for each in (moved["id"], never)
        ]
        listed = facts(await theirs.call_tool("list_generations", {}))
    assert second["generations"][0]["status"] == moved["status"] == "completed"
    assert refused.is_error
    assert words(refused).replace(first, never) == words(missing)
    assert of_a_video.is_error
    assert "is a video" in words(of_a_video)
    assert unseen[0].replace(moved["id"], never) == unseen[1]
    assert unseen[2] == unseen[3]
    assert listed["data"] == []


async def test_a_generation_is_a_resource(account: Account) -> None:
    async with host(account) as client:
        templates = (await client.list_resource_templates()).resource_templates
        made = facts(await client.call_tool("generate_image", {"prompt": "a hill"}))["generations"][0]["id"]
        [told, file] = (await client.read_resource(f"safelight://generations/{made}")).contents
    assert [template.uri_template for template in templates] == ["safelight://generations/{id}"]
    assert made in getattr(told, "text", "")
    assert base64.b64decode(getattr(file, "blob", ""))[:3] == b"\xff\xd8\xff"
