"""``safelight up`` as a whole: how soon it is ready, and what memory it takes at rest and at work.

And how soon a command that only calls a server is there, and the first image of somebody with a browser.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

from bench.first_image import first_image_seconds
from bench.processes import Memory, Watch, cpu_seconds, memory, tree
from bench.report import Report, at_most
from bench.servers import COMMAND, BenchError, Server, folder, safelight

_STARTS = 11
_SETTLE_SECONDS = 5.0
_VIDEO_SECONDS = 300.0
_IMAGE: dict[str, object] = {
    "model": "seedream-5-lite",
    "prompt": "A watercolor painting of a mountain village at dawn",
    "aspect_ratio": "16:9",
    "resolution": "2K",
    "output_format": "png",
}
_VIDEO: dict[str, object] = {
    "model": "seedance-v1-pro",
    "prompt": "A timelapse of clouds rolling over a mountain peak",
    "aspect_ratio": "16:9",
    "resolution": "1080p",
    "duration": 5,
    "sound": True,
}


async def run(report: Report) -> None:
    report.say("a command's start")
    report.add("safelight generate --help", _start_seconds("generate", "--help"), "s", reach=at_most(0.25))
    report.say("from 'safelight up' on a terminal to an image in a browser")
    with folder() as base:
        report.add(
            "first image in a browser",
            await asyncio.to_thread(first_image_seconds, base / "data"),
            "s",
            reach=at_most(60),
        )
    with folder() as base:
        data = base / "data"
        report.say("first start, on an empty data folder")
        with safelight("up", data) as server:
            report.add("ready, first start", server.ready_seconds, "s", reach=at_most(4))
            report.add("processor until then, first start", cpu_seconds(server.pid), "s")
        report.say("second start")
        with safelight("up", data) as server:
            report.add("ready, later start", server.ready_seconds, "s", reach=at_most(2.5))
            report.add("processor until then, later start", cpu_seconds(server.pid), "s")
            await asyncio.sleep(_SETTLE_SECONDS)
            _add(report, "at rest", memory(tree(server.pid)), with_reach=True)
            key = (data / "api-key").read_text().strip()
            for name, work in (("2K image", _image), ("1080p video", _video)):
                report.say(name)
                watch = Watch(server.pid)
                with watch.running():
                    work(server, key)
                _add(report, f"peak during a {name}", watch.highest)
            await asyncio.sleep(_SETTLE_SECONDS)
            _add(report, "soon after, renderers still there", memory(tree(server.pid)))
        report.say("without the dashboard")
        with safelight("up", data, {"SAFELIGHT_DASHBOARD": "off"}) as server:
            report.add("ready, later start, no dashboard", server.ready_seconds, "s")
            await asyncio.sleep(_SETTLE_SECONDS)
            _add(report, "at rest, no dashboard", memory(tree(server.pid)))
        report.say("with MCP")
        with safelight("up", data, {"SAFELIGHT_MCP": "on"}) as server:
            await asyncio.sleep(_SETTLE_SECONDS)
            _add(report, "at rest, MCP on", memory(tree(server.pid)))


def _start_seconds(*arguments: str) -> float:
    """The median of several starts, one after another."""
    seconds = []
    for _ in range(_STARTS):
        began = time.monotonic()
        subprocess.run([COMMAND, *arguments], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def _add(report: Report, when: str, moment: Memory, *, with_reach: bool = False) -> None:
    report.add(f"memory {when}: all", moment.total, "MiB", reach=at_most(300) if with_reach else None)
    for role, mib in sorted(moment.by_role.items(), key=lambda item: -item[1]):
        report.add(f"memory {when}: {role}", mib, "MiB")


def _image(server: Server, key: str) -> None:
    _call(server, key, "/v2/images/generations", _IMAGE)


def _video(server: Server, key: str) -> None:
    made = _call(server, key, "/v2/videos/generations", _VIDEO)
    give_up_at = time.monotonic() + _VIDEO_SECONDS
    while made["status"] == "pending":
        if time.monotonic() > give_up_at:
            raise BenchError("The video was not made in time.")
        time.sleep(0.2)
        made = _call(server, key, f"/v2/videos/generations/{made['id']}")
    if made["status"] != "completed":
        raise BenchError(f"The video failed: {made}")


def _call(server: Server, key: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(server.base_url + path, data=data, headers=headers), timeout=300) as answer:
        return dict(json.load(answer))
