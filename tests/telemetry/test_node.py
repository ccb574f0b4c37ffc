"""A whole node: what it tells is what happened, counters never fall, and nothing is told that is somebody's own."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import psycopg

from safelight.telemetry.metrics import DECLARED
from safelight.telemetry.observe import UNMATCHED
from tests.support.server import Server, eventually, safelight
from tests.telemetry.conftest import TOKEN, Node
from tests.telemetry.scraping import Scraper, Series, fallen, total

CANARY = "canary7kd02"
IMAGES, VIDEOS = "/v2/images/generations", "/v2/videos/generations"


@contextlib.contextmanager
def client(node: Node) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.server.base_url, headers=node.server.headers, timeout=60) as made:
        yield made


def make_image(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post(IMAGES, json={"model": "noop-image", "prompt": f"a {CANARY}", **fields})


def movements(series: Series) -> dict[str, int]:
    names = ("held", "captured", "released", "credited")
    return {name: int(total(series, "safelight_money_nanos_total", movement=name)) for name in names}


def test_what_is_told_is_what_happened(node: Node) -> None:
    with client(node) as http:
        made = make_image(http)
        assert made.status_code == 200, made.text
        file = http.get(made.json()["data"][0]["url"])
        video = http.post(VIDEOS, json={"model": "noop-video", "prompt": CANARY})
        place = f"{VIDEOS}/{video.json()['id']}"
        eventually(lambda: http.get(place).json()["status"] == "completed", "the video")
        assert make_image(http, model="failing-image").status_code == 502
    found = node.scraper.until(lambda series: total(series, "safelight_generations_total") >= 3)
    assert total(found, "safelight_generations_total", type="image", model="noop-image", outcome="completed") == 1
    assert total(found, "safelight_generations_total", type="video", model="noop-video", outcome="completed") == 1
    assert total(found, "safelight_generations_total", model="failing-image", outcome="failed") == 1
    assert total(found, "safelight_http_requests_total", route=IMAGES, method="POST", status="200") == 1
    assert total(found, "safelight_http_requests_total", route=IMAGES, method="POST", status="502") == 1
    assert total(found, "safelight_downloads_bytes_total") == len(file.content)
    assert total(found, "safelight_provider_calls_total", provider="noop", call="submit", result="ok") == 2
    for step in ("queue", "backend", "deliver", "settle"):
        assert total(found, "safelight_generation_duration_seconds_count", type="video", step=step) == 1
    assert total(found, "safelight_storage_operations_total", operation="put", result="ok") == 2
    assert total(found, "safelight_storage_operation_bytes_total", operation="put") > len(file.content)
    assert total(found, "safelight_build_info") == 1
    assert total(found, "safelight_certificate_expires_seconds") > 86400
    moved = movements(found)
    with psycopg.connect(node.database_url) as connection:
        row = connection.execute(
            "select sum(held_nanos) filter (where kind = 'hold'), sum(revenue_nanos),"
            " sum(available_nanos) filter (where kind = 'settle'), sum(available_nanos) filter (where kind = 'fund')"
            " from transfers"
        ).fetchone()
    assert row is not None
    assert tuple(moved.values()) == tuple(map(int, row)), "as the ledger has it, to the last digit"
    cluster = node.scraper.series("/cluster")
    assert moved["held"] - moved["captured"] - moved["released"] == total(cluster, "safelight_money_held_nanos") == 0
    assert books_balance(node)


def books_balance(node: Node) -> bool:
    settings = {"SAFELIGHT_DATABASE_URL": node.database_url}
    done = safelight("books", "--all", "--data-dir", node.server.data_dir, env=settings)
    return done.returncode == 0


def test_the_database_tells_of_all_nodes(node: Node) -> None:
    found = node.scraper.until(lambda series: total(series, "safelight_workers") == 1, "/cluster")
    assert {name for name, _ in found} == {each.name for each in DECLARED.values() if each.of_cluster}
    assert total(found, "safelight_database_up") == 1
    assert total(found, "safelight_books_ok") == 1
    assert total(found, "safelight_storage_bytes") > 0
    assert total(found, "safelight_deletions_overdue") == 0
    assert {name for name, _ in node.scraper.series()}.isdisjoint({name for name, _ in found})


def test_the_official_tool_has_nothing_to_say(node: Node) -> None:
    tool = shutil.which("promtool")
    assert tool, "install Debian's prometheus"
    for page in ("", "/cluster"):
        done = subprocess.run(
            [tool, "check", "metrics"], input=node.scraper.text(page), capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), done.stderr


def test_nobody_makes_a_series_and_nobodys_own_is_told(node: Node) -> None:
    """Whatever is sent, labels are of closed sets."""

    def be_hostile(turn: int) -> None:
        name = f"{CANARY}{turn}"
        with client(node) as http:
            for model in (name, "noop-image"):
                make_image(http, model=model, prompt=name, user=name)
                make_image(http, model=model, size=name)
            for path in (f"/{name}", f"/v2/{name}", f"{IMAGES}/req-{name}", f"/dashboard/{name}", f"/v1/{name}"):
                http.get(path)
                http.request(name.upper(), path)
            http.get(f"/v2/downloads/req-{name}/0?exp=1&sig={name}")
            http.get("/v2/models", headers={"Authorization": f"Bearer sk_{name}"})
            http.post(IMAGES, content=b"{" + name.encode(), headers={"Content-Type": "application/json"})

    be_hostile(0)
    before = node.scraper.until(lambda found: total(found, "safelight_refusals_total", code="invalid_api_key") >= 1)
    refused = total(before, "safelight_refusals_total", code="invalid_api_key")
    for turn in range(1, 4):
        be_hostile(turn)
    after = node.scraper.until(
        lambda found: total(found, "safelight_refusals_total", code="invalid_api_key") >= refused + 3
    )
    asked = ("safelight_http", "safelight_refusals", "safelight_generation", "safelight_provider")
    new = {key for key in after if key not in before and key[0].startswith(asked)}
    assert not new, "more of the same makes no more series"
    text = node.scraper.text() + node.scraper.text("/cluster")
    assert CANARY not in text.lower()
    for own in (node.server.key, "default", "req-", TOKEN):
        assert own not in text, own
    _check_labels(after)


_CLOSED = {
    "method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"},
    "type": {"image", "video"},
    "outcome": {"completed", "failed", "refused", "canceled"},
    "step": {"queue", "backend", "deliver", "settle"},
    "call": {"submit", "poll", "find", "cancel", "fetch"},
    "movement": {"held", "captured", "released", "credited"},
    "operation": {"put", "get", "read", "delete", "look", "list"},
    "process": {"api", "worker"},
    "provider": {"noop", "chaos", "builtin"},
    "connection": {"noop", "chaos", "builtin"},
}


def _check_labels(series: Series) -> None:
    for name, labels in series:
        declared = DECLARED[re.sub(r"_(bucket|sum|count)$", "", name) if "_seconds_" in name else name]
        assert {label for label, _ in labels} - {"le"} == set(declared.labels)
        for label, value in labels:
            if label in _CLOSED:
                assert value in _CLOSED[label], (label, value)
            elif label == "status":
                assert re.fullmatch("[1-5][0-9][0-9]", value)
            elif label == "code":
                assert re.fullmatch("[a-z_]+", value)
            elif label == "route":
                assert value == UNMATCHED or re.fullmatch(r"(/|(/[a-z0-9._-]+|/\{[a-z_]+(:path)?\})+)", value), value


def test_the_listener_bears_slow_and_hostile_clients(node: Node) -> None:
    port = int(node.scraper.base_url.rpartition(":")[2])
    assert httpx.get(f"{node.server.base_url}/metrics").status_code == 404, "never on the public port"
    for shown in ("", "Bearer wrong", f"Bearer {TOKEN}x", TOKEN):
        refused = httpx.get(f"{node.scraper.base_url}/metrics", headers={"Authorization": shown})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    known = node.scraper.headers
    assert httpx.get(f"{node.scraper.base_url}/else", headers=known).status_code == 404
    assert httpx.post(f"{node.scraper.base_url}/metrics", headers=known).status_code == 405
    assert httpx.head(f"{node.scraper.base_url}/metrics", headers=known).content == b""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(10)]
        bad = (b"", b"GET /metrics HTTP/1.1\r\n", b"\0" * 100_000, b"GET\r\n\r\n")
        for each, sent in zip(silent, itertools.cycle(bad), strict=False):
            with contextlib.suppress(OSError):
                each.sendall(sent)
        assert node.scraper.series()
        floods = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(60)]
        for each in floods:
            each.settimeout(20)
        with contextlib.suppress(OSError):
            assert floods[-1].recv(1) == b"", "more than it takes are hung up on"
    assert node.scraper.until(bool)


class Watch:
    """Scrapes all the time, and notes what falls."""

    def __init__(self, scraper: Scraper) -> None:
        self.found: list[str] = []
        self.scrapes = 0
        self._scraper = scraper
        self._last = scraper.series()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            series = self._scraper.series()
            self.found += fallen(self._last, series)
            self._last = series
            self.scrapes += 1

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def of_role(server: Server, role: str) -> psutil.Process:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [each for each in server.processes() if _role(each) == role]
        return bool(found)

    eventually(is_there, f"a process for {role}")
    return found[0]


def _role(process: psutil.Process) -> str:
    words = process.cmdline()
    return words[words.index("safelight.cli.child") + 1] if "safelight.cli.child" in words else ""


def api_process(server: Server) -> psutil.Process:
    """The one that answers: a child of Granian's first."""
    children: list[psutil.Process] = []

    def is_there() -> bool:
        found = of_role(server, "serve").children()
        children[:] = [each for each in found if "resource_tracker" not in " ".join(each.cmdline())]
        return bool(children)

    eventually(is_there, "an API process")
    return children[0]


def test_counters_never_fall_whoever_ends_and_however(node: Node) -> None:
    """The API by a reload and by force, the worker thrice each way, and the listener itself."""
    server, scraper = node.server, node.scraper

    def asked(series: Series) -> float:
        return total(series, "safelight_http_requests_total", route="/v2/models")

    def ask(http: httpx.Client, times: int) -> None:
        for _ in range(times):
            assert http.get("/v2/models").status_code == 200

    start = asked(scraper.series())
    with client(node) as http, Watch(scraper) as watch:
        ask(http, 10)
        old = api_process(server)
        server.process.send_signal(signal.SIGHUP)
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            worker = of_role(server, "worker")
            worker.send_signal(number)
            eventually(lambda worker=worker: not worker.is_running(), "its end")
        eventually(lambda: not old.is_running() or old.status() == psutil.STATUS_ZOMBIE, "the reload")
        scraper.until(lambda series: asked(series) == start + 10)
        http.close()
        with client(node) as again:
            ask(again, 10)
        scraper.until(lambda series: asked(series) == start + 20)
        api_process(server).kill()
        server.wait_until_ready()
        with client(node) as again:
            ask(again, 10)
        scraper.until(lambda series: asked(series) == start + 30)
    assert watch.scrapes > 20
    assert watch.found == []
    before = scraper.series()
    of_role(server, "metrics").kill()
    after = _once_it_answers(scraper)
    assert fallen(before, after) == []
    eventually(lambda: len(list((server.data_dir / "metrics").glob("*.process"))) == 2, "files of the dead are removed")


def _once_it_answers(scraper: Scraper) -> Series:
    found: list[Series] = []

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            found.append(scraper.series())
        return bool(found)

    eventually(answers, "the listener")
    return found[0]
