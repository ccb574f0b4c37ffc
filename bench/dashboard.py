"""The dashboard over 100 generations and over 100,000, in a real browser, beside a plain grid of 10,000 tiles."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import islice
from pathlib import Path

import httpx
import msgspec
import psycopg
from playwright.sync_api import Browser

from bench.report import Report, at_most
from bench.servers import BenchError, Server, folder, postgres, safelight
from bench.tab import Held, Tab, renderer_mib
from bench.tenants import settings, tenants
from safelight.accounts.sessions import create_link
from safelight.dashboard.routes import ROUTES
from safelight.domain.scope import OPERATOR
from safelight.domain.signing import LinkSigner, parse_signing_keys
from tests.dashboard.browsing import Window, open_browser
from tests.support.media_in_bulk import draw_thumbnails, put_on_record
from tests.support.postgres import on_database
from tests.support.tenants import Tenant

_MANY, _FEW = 100_000, 100
_PLAIN = 10_000
_DAYS = 60
_PAGES = 44
_PAGE_PIXELS = 3700
_WHEEL_PIXELS = 1200
_REQUESTS = 20
_PATIENCE_SECONDS = 240.0
_NAMED = re.compile(r"{\w+}")
_NO_PAGES = ("/dashboard/live", "/dashboard/login")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser took for a page: milliseconds, MiB.

    ``longest_task``: by the clock, with whatever else the machine did meanwhile; ``busiest_task``: the most processor
    time that one took. ``empty``: the renderer of a page with nothing on it, in the same browser.
    """

    first_paint: float
    longest_task: float
    busiest_task: float
    held: Held
    empty: float


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace, and the ids of what it made, the newest first."""

    tenant: Tenant
    ids: list[str]


async def run(report: Report) -> None:
    many = _MANY // 10 if report.brief else _MANY
    with folder() as base, postgres(base) as database:
        report.say(f"{many:,} generations, and {_FEW}")
        shelves = await _shelves(base, database.url, [_FEW, many])
        keys = f"k1:{os.urandom(32).hex()}"
        (base / "data" / "signing-keys").write_text(f"{keys}\n")
        environment = {**settings(base, database.url), "SAFELIGHT_DASHBOARD": "on"}
        with safelight("serve", base / "data", environment) as server:
            code = on_database(database.url, lambda db: create_link(OPERATOR, db, "a bench"))
            _ask(report, server, code, shelves)
            signer = LinkSigner(parse_signing_keys(keys), server.base_url)
            plain = base / "plain.html"
            plain.write_text(_plain_grid(signer, database.url, shelves[-1].ids[:_PLAIN]))
            await asyncio.to_thread(_browse, report, server, shelves, plain)


async def _shelves(base: Path, url: str, counts: list[int]) -> list[Shelf]:
    """Workspaces with so many generations each, as if they had been made in two months; and small pictures of them."""
    shelves = []
    made = await tenants(url, "dashboard", len(counts))
    now = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True, options="-c synchronous_commit=off") as connection:
        for tenant, count in zip(made, counts, strict=True):
            apart = timedelta(days=_DAYS) / max(counts)
            times = [now - apart * number for number in range(count)]
            ids = put_on_record(
                connection,
                tenant.id,
                times,
                models=("noop-image", "noop-image", "noop-video"),
                types=("image", "image", "video"),
                api_key_id=tenant.key_id,
            )
            draw_thumbnails(base / "data" / "media", [*ids[:_PLAIN], *ids[_PLAIN:][-120:]])
            shelves.append(Shelf(tenant=tenant, ids=ids))
        connection.execute("vacuum analyze")
    return shelves


def _ask(report: Report, server: Server, code: str, shelves: list[Shelf]) -> None:
    """How long the server takes for each page that there is, as the one who may see all of them."""
    headers = {"sec-fetch-site": "same-origin"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as client:
        if client.post("/dashboard/login", data={"secret": code}).status_code != 303:
            raise BenchError("The link does not let anybody in.")
        paths = _paths()
        report.say(f"the server's part of {len(paths)} pages")
        for path in paths:
            if _NAMED.search(_place(path, shelves[0])):
                report.say(f"not asked for, as nothing here has one: {path}")
                continue
            taken = [_median_ms(client, path, shelf) for shelf in shelves]
            name = path.removeprefix("/dashboard") or "/"
            report.add(f"{name}: server, {len(shelves[-1].ids):,} beside {_FEW}", taken[1], "ms", peer=taken[0])


def _paths() -> list[str]:
    """Every page: what is asked for with GET, and is neither a file, a stream nor the way in."""
    paths = dict.fromkeys(route.path for route in ROUTES if route.method == "GET" and route.needs_key)
    return [path for path in paths if path not in _NO_PAGES and not path.endswith((".csv", ".json", "receipt.{kind}"))]


def _place(path: str, shelf: Shelf) -> str:
    """Where a page is, of something that the workspace has."""
    middle = shelf.ids[len(shelf.ids) // 2]
    known = {
        "/dashboard/gallery/{id}": middle,
        "/dashboard/jobs/{id}": middle,
        "/dashboard/keys/{key}": str(shelf.tenant.key_id),
        "/dashboard/models/{id}": "noop-image",
        "/dashboard/operator/workspaces/{name}": shelf.tenant.name,
    }
    return _NAMED.sub(known[path], path) if path in known else path


def _median_ms(client: httpx.Client, path: str, shelf: Shelf) -> float:
    place = _place(path, shelf)
    taken = []
    for _ in range(_REQUESTS):
        began = time.perf_counter()
        answer = client.get(place, params={"workspace": shelf.tenant.name})
        taken.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise BenchError(f"{place} was answered {answer.status_code}: {answer.text[-500:]}")
    return statistics.median(taken) * 1000


def _browse(report: Report, server: Server, shelves: list[Shelf], plain: Path) -> None:
    few, many = shelves
    pages = 8 if report.brief else _PAGES
    report.say("a plain grid")
    beside = _scrolled_plain(plain, pages)
    report.say(f"{pages} pages of the gallery")
    small = _scrolled(server, few, 2)
    large = _scrolled(server, many, pages)
    _add(report, f"gallery of {len(few.ids):,}", small, beside)
    _add(report, f"gallery of {len(many.ids):,}, {pages} pages scrolled", large, beside)
    with open_browser() as browser:
        clicks, taken = _to_the_oldest(browser, server, many)
    report.add("the oldest: clicks", clicks, "", reach=at_most(2))
    report.add("the oldest: until it is there", taken, "ms")


def _add(report: Report, name: str, ours: Shown, plain: Shown) -> None:
    own, others = ours.held, plain.held
    report.add(f"{name}: first paint", ours.first_paint, "ms", peer=plain.first_paint, reach=at_most(1000))
    report.add(f"{name}: longest task", ours.longest_task, "ms", peer=plain.longest_task or None, reach=at_most(50))
    report.add(
        f"{name}: most processor time of a task", ours.busiest_task, "ms", peer=plain.busiest_task, reach=at_most(50)
    )
    report.add(f"{name}: memory of the renderer", own.held, "MiB", peer=others.held, reach=at_most(150))
    more, theirs = own.held - ours.empty, others.held - plain.empty
    report.add(f"{name}: more than an empty page's", more, "MiB", peer=theirs)
    report.add(f"{name}: with decoded pictures and garbage", own.renderer, "MiB", peer=others.renderer)
    report.add(f"{name}: heap of scripts", own.heap, "MiB", peer=others.heap)
    report.add(f"{name}: nodes", own.nodes, "", peer=others.nodes)


def _scrolled(server: Server, shelf: Shelf, pages: int) -> Shown:
    cookies = _cookies(server, shelf)
    there = f"document.querySelectorAll('#pages > .page').length >= {pages}"
    return _measured(f"{server.base_url}/dashboard/gallery", there, cookies)


def _scrolled_plain(plain: Path, pages: int) -> Shown:
    """As far down a plain grid as so many pages of the gallery are long."""
    end = "document.documentElement.scrollHeight - innerHeight - 10"
    return _measured(plain.as_uri(), f"scrollY >= Math.min({pages * _PAGE_PIXELS}, {end})")


def _measured(url: str, is_far_enough: str, cookies: Sequence[tuple[str, str]] = ()) -> Shown:
    """Scroll with the wheel until it is enough, in a browser of its own: once one of its pages was told that memory is
    short, a browser keeps fewer pictures. Tasks before that, such as the first layout, count for the load."""
    with open_browser() as browser:
        nothing = Tab(browser, "data:text/html,.")
        empty = renderer_mib()
        nothing.close()
        tab = Tab(browser, url, cookies)
        first_paint = tab.value("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        tab.value("window.longTasks.length = 0")
        tab.start_trace()
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not tab.value(is_far_enough):
            if time.monotonic() > give_up_at:
                raise BenchError("Scrolling led nowhere.")
            tab.scroll(_WHEEL_PIXELS)
            time.sleep(0.03)
        time.sleep(0.5)
        busiest = tab.busiest_task_ms()
        longest = tab.value("Math.max(0, ...window.longTasks)")
        return Shown(first_paint=first_paint, longest_task=longest, busiest_task=busiest, held=tab.held(), empty=empty)


def _cookies(server: Server, shelf: Shelf) -> list[tuple[str, str]]:
    """Of somebody who has signed in."""
    headers = {"sec-fetch-site": "same-origin"}
    answer = httpx.post(f"{server.base_url}/dashboard/login", data={"secret": shelf.tenant.key}, headers=headers)
    if answer.status_code != 303:
        raise BenchError("The key does not let anybody in.")
    return [(cookie.name, cookie.value or "") for cookie in answer.cookies.jar]


def _to_the_oldest(browser: Browser, server: Server, shelf: Shelf) -> tuple[int, float]:
    """Clicks from the first page to the oldest of all, and milliseconds from the last of them until it can be seen."""
    window = Window(browser, server.base_url, viewport={"width": 1280, "height": 800})
    cookies = [{"name": name, "value": value, "url": server.base_url} for name, value in _cookies(server, shelf)]
    window.context.add_cookies(cookies)  # type: ignore[arg-type]
    page = window.open("/dashboard/gallery")
    began = time.perf_counter()
    page.get_by_role("link", name="Oldest").click()
    page.locator(f"[data-id='{shelf.ids[-1]}']").wait_for()
    taken = (time.perf_counter() - began) * 1000
    window.close()
    return 1, taken


def _plain_grid(signer: LinkSigner, url: str, ids: list[str]) -> str:
    """A page with that many tiles and nothing else."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("select deletes_at from generations where id = %s", [ids[0]]).fetchone()
    if rows is None:
        raise BenchError("There is nothing to show.")
    exp = int(rows[0].timestamp())
    tiles = "".join(
        f'<a href="#"><img src="{escape(signer.url(each, 0, exp, variant="thumbnail"))}" alt="" width="190"'
        f' height="190" loading="lazy" decoding="async"><span>{each}</span></a>'
        for each in islice(ids, _PLAIN)
    )
    css = "body{display:grid;grid-template-columns:repeat(4,1fr);gap:12px}a{display:block;height:237px;overflow:hidden}"
    return f"<!doctype html><title>plain</title><style>{css}</style><body>{tiles}"
