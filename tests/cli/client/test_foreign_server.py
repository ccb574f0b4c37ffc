"""A server that means no good: what it tells commands no terminal, names no file, and takes no memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from safelight.cli.client import listeners
from safelight.cli.client.answers import Balance, Generation, Generations, Quote, read
from safelight.cli.client.asking import usd
from safelight.cli.client.connection import Connection
from safelight.cli.client.download import download, fetch_bytes
from safelight.cli.client.exits import CommandFailed
from safelight.cli.client.listening import shown as shown_target
from safelight.cli.client.output import result_json
from safelight.cli.client.profiles import Profile
from safelight.cli.client.watching import Standing, shown
from safelight.cli.show import console
from tests.cli.client.stand_in import KEY, connected

ID = "req-01K7Z3M9V2Q4R6S8T0V2X4Z6B8"
COMMANDS = "\u009b2J \u202e \x1b]0;mine\x07"
USAGE = {"total_cost": 1, "billable_unit": "image", "unit_price": 1, "quantity": 1}


def run(handler: Callable[[web.Request], Awaitable[web.StreamResponse]], use: Callable[[Connection], Any]) -> Any:
    async def scenario() -> Any:
        async with connected(handler, patience_seconds=1.0) as connection:
            return await use(connection)

    return asyncio.run(scenario())


def test_json_commands_no_terminal_and_stays_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"prompt": f"a\tb {COMMANDS}", "cost": 1}
    result_json(json.dumps(told, ensure_ascii=False, indent=2).replace("1\n", "1.10\r\n").encode())
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert all(character.isprintable() for character in out.rstrip("\n"))
    assert (json.loads(out), "1.10" in out) == ({**told, "cost": 1.1}, True)
    result_json(b'{"a": "\x1b[2J\xff"}')  # which is none
    assert "\x1b" not in capsys.readouterr().out


def test_a_page_names_its_generations_by_ids() -> None:
    for name in ("../../x", f"{ID}/..", "x'; rm -rf ~ #"):
        with pytest.raises(CommandFailed, match="not one of Safelight's"):
            read(json.dumps({"data": [{"id": name, "status": "pending"}]}).encode(), Generations)
    with pytest.raises(CommandFailed, match="not one of Safelight's"):
        read(b'{"id": "%s", "status": "pending", "x": %s}' % (ID.encode(), b"[" * 100_000), Generation)


@pytest.mark.parametrize("amount", ["1e5000000", "1e-5000000", '"NaN"', '"sNaN"', '"Infinity"', f'"{"1" * 100}"'])
def test_an_amount_is_one(amount: str) -> None:
    facts = {"model": "m", "aspect_ratio": "", "resolution": "", "width": 1, "height": 1, "is_covered": True}
    good = json.dumps({**facts, "usage": USAGE})
    assert read(good.encode(), Quote).usage.total_cost == 1
    with pytest.raises(CommandFailed, match="not one of Safelight's"):
        read(good.replace('"total_cost": 1', f'"total_cost": {amount}').encode(), Quote)


def test_what_is_watched_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    balance = read(json.dumps({"balance": COMMANDS}).encode(), Balance).balance
    pending = Generation(id=ID, status="pending", model=COMMANDS, progress=1e300)
    console().print(
        shown(Standing(pending=[pending], failed=[], spent_today=Decimal(0), balance=balance, has_more=False))
    )
    out = capsys.readouterr().out
    assert not {"\x1b", "\u009b", "\u202e"} & set(out)
    assert "[####################] 100%" in out
    assert usd(Decimal("1.5")) == "1.50"


@pytest.mark.parametrize(
    "lines",
    [
        [b"id: evt_a\rX-Evil: 1\n\n"],
        [b"id: \x1b[2J\n\n"],
        ["id: \u2028\n\n".encode()],
        [b"id: " + b"e" * 1000 + b"\n\n"],
        [b"data: " + b"x" * (17 << 20)],
        [b"data: " + b"x" * (1 << 20) + b"\n"] * 20,
    ],
    ids=["a header", "a command", "a line", "long", "a line without end", "an event without end"],
)
def test_events_that_could_not_be_resumed_or_have_no_end(lines: list[bytes]) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        return response

    async def use(connection: Connection) -> None:
        with pytest.raises(CommandFailed, match="stream of events is not one of Safelight's"):
            async for event in connection.events("/v2/events"):
                raise AssertionError(event)

    run(handler, use)


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "//x", "http://[::1", "javascript:alert(1)", f"http://{'a' * 70}/", "ws://x/"]
)
def test_a_link_that_is_none_fails_at_once(url: str, tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise AssertionError(request)

    async def use(connection: Connection) -> None:
        with pytest.raises(CommandFailed, match="leads nowhere"):
            await download(connection, url, tmp_path / "a.png", name="a.png")
        with pytest.raises(CommandFailed, match="leads nowhere"):
            await fetch_bytes(connection, url, 10)

    run(handler, use)
    assert not list(tmp_path.iterdir())


def test_a_redirect_leads_to_no_file_of_ours(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert "authorization" not in request.headers
        return web.Response(status=302, headers={"location": "file:///etc/passwd"})

    async def use(connection: Connection) -> None:
        with pytest.raises(CommandFailed, match="leads nowhere"):
            await download(connection, connection.url("/v2/downloads/x"), tmp_path / "a.png", name="a.png")

    run(handler, use)


def test_a_target_is_told_without_its_secrets() -> None:
    assert shown_target("http://me:secret@127.0.0.1:3000/hooks?token=secret#x") == "http://127.0.0.1:3000/hooks"


def test_listeners_that_begin_at_once_sign_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first is between looking and writing when the second comes."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profile = Profile(name="default", base_url="http://127.0.0.1:1", key=KEY)
    read_text, seconds = Path.read_text, []

    def interrupted(path: Path, *given: Any, **named: Any) -> str:
        try:
            return read_text(path, *given, **named)
        except FileNotFoundError:
            monkeypatch.setattr(Path, "read_text", read_text)
            seconds.append(listeners.secret_of(profile))
            raise

    monkeypatch.setattr(Path, "read_text", interrupted)
    assert [listeners.secret_of(profile)] == seconds
