"""What each tool does: arguments in, the API asked, a result out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, cast

from mcp_types import CallToolResult

from safelight.mcp import orders, results
from safelight.mcp.api import Json, Refused
from safelight.mcp.arguments import (
    CancelArguments,
    GetArguments,
    ImageArguments,
    ListArguments,
    ModelsArguments,
    NoArguments,
    QuoteArguments,
    VideoArguments,
    read,
)
from safelight.mcp.generations import follow
from safelight.mcp.orders import Call
from safelight.mcp.results import Keep, answer, dollars, line_of, text

Given = dict[str, Any] | None
Tool = Callable[[Call, Given, Keep], Awaitable[CallToolResult]]

_MOST_TEXT_MODELS = 100


async def generate_image(call: Call, given: Given, keep: Keep) -> CallToolResult:
    made = await orders.make_images(call, read(given, ImageArguments))
    return await results.of_images(call.api, made, keep)


async def generate_video(call: Call, given: Given, keep: Keep) -> CallToolResult:
    generation_id = await orders.order_video(call, read(given, VideoArguments))
    return await results.of_generation(call.api, await orders.wait_for_video(call, generation_id), keep, is_wanted=True)


async def quote(call: Call, given: Given, keep: Keep) -> CallToolResult:
    asked = read(given, QuoteArguments)
    one = await orders.quote(call.api, asked)
    total = Decimal(str(one["usage"]["total_cost"])) * asked.count
    balance = Decimal((await call.api.get("/v2/billing/balance", {}))["balance"])
    facts = {name: value for name, value in one.items() if value is not None}
    facts |= {"count": asked.count, "total_cost": float(total), "is_covered": total <= balance}
    told = f"{asked.count} x {one['model']}, {one['width']}x{one['height']}: {dollars(float(total))}."
    return answer([text(told, "" if total <= balance else "The balance does not cover it.")], facts)


async def list_models(call: Call, given: Given, keep: Keep) -> CallToolResult:
    asked = read(given, ModelsArguments)
    models = cast("list[Json]", await call.api.get("/v2/models", asked.given("type")))
    lines = [_line_of_model(model) for model in models[:_MOST_TEXT_MODELS]]
    return answer([text(*lines or ["There are none."])], {"models": models})


def _line_of_model(model: Json) -> str:
    lists = {
        "ratios": model["supported_aspect_ratios"],
        "resolutions": model["supported_resolutions"],
        "seconds": model["supported_durations"],
        "pictures to go by": [f"{role} up to {most}" for role, most in model["supported_references"].items()],
    }
    facts = [f"{name} {', '.join(map(str, values))}" for name, values in lists.items() if values]
    facts += ["sound"] if model["supports_sound"] else []
    rates = [_rate(rate) for rate in model["pricing"]["rates"]]
    return f"{model['id']} ({model['type']}): {'; '.join(facts)}; {', '.join(rates)}"


def _rate(rate: Json) -> str:
    unit = "second" if rate["billable_unit"] == "video_second" else "image"
    about = [rate["resolution"] or "", {"sound_on": "with sound", "sound_off": "silent"}.get(rate["sound"], "")]
    return f"${rate['unit_price']} a {unit} {' '.join(filter(None, about))}".rstrip()


async def get_generation(call: Call, given: Given, keep: Keep) -> CallToolResult:
    asked = read(given, GetArguments)
    found = await follow(call.api, asked.id, asked.wait_seconds, call.report)
    return await results.of_generation(call.api, found, keep)


async def list_generations(call: Call, given: Given, keep: Keep) -> CallToolResult:
    asked = read(given, ListArguments)
    query = {name: str(value) for name, value in asked.given("limit", "after", "type", "status").items()}
    page = await call.api.get("/v2/generations", query)
    lines = [f"{each['created_at']} {each['type']} {line_of(each)}" for each in page["data"]]
    more = f"There are more: call it with after {page['data'][-1]['id']}." if page["has_more"] else ""
    return answer([text(*lines or ["There are none."], more)], page)


async def cancel_generation(call: Call, given: Given, keep: Keep) -> CallToolResult:
    asked = read(given, CancelArguments)
    canceled = await cancel(call, asked.id)
    told = {
        "canceled": "is canceled, and what it was to cost is released",
        "requested": "is to be canceled: its backend is being asked",
        "too_late": "had ended already",
    }
    return answer([text(f"{asked.id} {told[canceled['cancellation']]}.")], canceled)


async def cancel(call: Call, generation_id: str) -> Json:
    """What became of the wish. Raises ``Refused``."""
    if not generation_id.isascii() or not generation_id.replace("-", "").isalnum():
        raise Refused("There is no generation with this id in this workspace.", code="not_found", param="id")
    return await call.api.delete(f"/v2/videos/generations/{generation_id}")


async def get_balance(call: Call, given: Given, keep: Keep) -> CallToolResult:
    read(given, NoArguments)
    found = await call.api.get("/v2/billing/balance", {})
    return answer([text(f"${found['balance']} may be spent.")], found)


TOOLS: dict[str, Tool] = {
    tool.__name__: tool
    for tool in (
        generate_image,
        generate_video,
        quote,
        list_models,
        get_generation,
        list_generations,
        cancel_generation,
        get_balance,
    )
}
