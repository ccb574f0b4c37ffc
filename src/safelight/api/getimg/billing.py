"""Balance, costs and quotes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.balance import get_balance
from safelight.accounts.costs import daily_costs
from safelight.api.answer import json_response
from safelight.api.auth import api_state, principal, query_value
from safelight.api.bodies import read_body
from safelight.api.getimg import requests, wire
from safelight.domain.errors import InvalidParameter, ParameterMissing
from safelight.domain.money import as_decimal, format_usd
from safelight.domain.text import quoted
from safelight.lifecycle.submit import quote

_LEAP_SECOND = re.compile(r"(:\d\d:)60", re.ASCII)  # RFC 3339 knows it, and Python does not


async def balance(request: Request) -> Response:
    """What the workspace may spend now."""
    left = await get_balance(principal(request).scope, api_state(request).viewing.db)
    return json_response(wire.BalanceAnswer(balance=format_usd(left.available_nanos)))


async def costs(request: Request) -> Response:
    """What the workspace spent, by UTC date."""
    start, end = _moment(request, "start"), _moment(request, "end")
    days = await daily_costs(principal(request).scope, api_state(request).viewing.db, start, end)
    return json_response(
        wire.CostsAnswer(
            start=wire.iso_milliseconds(start),
            end=wire.iso_milliseconds(end),
            total_cost=as_decimal(sum(day.cost_nanos for day in days)),
            data=[wire.CostBucket(date=day.date.isoformat(), cost=as_decimal(day.cost_nanos)) for day in days],
        )
    )


async def quote_image(request: Request) -> Response:
    """What an image would cost. Nothing is held."""
    return await _quote(request, requests.ImageGenerationBody)


async def quote_video(request: Request) -> Response:
    """What a video would cost. Nothing is held."""
    return await _quote(request, requests.VideoGenerationBody)


async def _quote(request: Request, into: type[requests.GenerationBody]) -> Response:
    services = api_state(request).submitting
    body, _ = await read_body(request, into)
    asked = body.request()
    checked = quote(services, principal(request), asked)
    left = await get_balance(principal(request).scope, services.db)
    return json_response(wire.quote(asked, checked.spec, checked.price, available_nanos=left.available_nanos))


def _moment(request: Request, param: str) -> datetime:
    text = query_value(request, param)
    if not text:
        raise ParameterMissing(f"{param} is missing. Use ISO 8601 with a time zone: 2026-05-02T12:30:00Z.", param=param)
    try:
        # A '+' that was sent unescaped arrives as a blank (URL form encoding).
        moment = datetime.fromisoformat(_LEAP_SECOND.sub(r"\g<1>59", text.replace(" ", "+").upper()))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no date, or one that UTC moves out of the years 1 to 9999
        pass
    raise InvalidParameter(
        f"{param} {quoted(text)} is not ISO 8601 with a time zone. Write it as 2026-05-02T12:30:00Z.", param=param
    )
