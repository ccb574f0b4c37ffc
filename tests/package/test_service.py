"""The service of one machine, as its unit has it run: from the wheel, by a user without rights, hardened.

What systemd alone can do is not here: limits of cgroups, policies of devices, and what it makes of what it is told.
``systemd-analyze`` judges the words of the units (``test_units.py``).
"""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from tests.package.place import FENCE, IS_ROOT, command, give, open_state, prefix, run, surroundings
from tests.package.units import allowed_by, setting_of
from tests.support.notified import Notified, open_notified
from tests.support.server import PATIENCE_SECONDS, eventually, free_port

SHIPPED = Path(__file__).parents[2] / "src/safelight/catalog.toml"


REFUSED = """
import mmap, os, socket
for ask in (
    lambda: socket.socket(),
    lambda: mmap.mmap(-1, 4096),
    lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    lambda: os.chown(os.environ["HOME"], os.getuid(), os.getgid()),
    lambda: open("/opt/safelight/new", "w"),
    lambda: open("/etc/new", "w"),
    lambda: open("/proc/sys/kernel/hostname", "r+"),
):
    try:
        ask()
        print("taken", end=" ")
    except OSError as error:
        print(error.errno, end=" ")
"""


@pytest.mark.skipif(not IS_ROOT, reason="only root can make such a place")
def test_what_the_unit_refuses_is_refused_here() -> None:
    with open_state() as state:
        give(state / "fence.py", FENCE.read_text())
        python = prefix("venv") / "bin/python"
        fence = ["python", "-I", state / "fence.py", json.dumps(allowed_by("safelight"))]
        done = run("venv", state, *fence, python, "-c", REFUSED)
    read_only = (str(errno.EACCES), str(errno.EROFS))
    taken, also_taken, *refused, package, system, kernel = done.stdout.split()
    assert (taken, also_taken, refused) == ("taken", "taken", ["1", "1", "1"]), done.stdout + done.stderr
    assert package in read_only and system in read_only and kernel in read_only


class Service:
    """``safelight.service`` while it runs. ``log`` is what it printed."""

    def __init__(self, state: Path, notified: Notified) -> None:
        self.state, self.notified = state, notified
        self.data_dir = state / "lib"
        self.catalog = state / "catalog.toml"
        give(self.catalog, SHIPPED.read_text())
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        self.metrics = f"127.0.0.1:{free_port()}"
        self.settings = {
            "SAFELIGHT_DATA_DIR": str(self.data_dir),
            "SAFELIGHT_PORT": str(port),
            "SAFELIGHT_CATALOG": str(self.catalog),
            "SAFELIGHT_METRICS": self.metrics,
        }
        start = ["safelight", *setting_of("safelight", "ExecStart").split()[1:]]
        if IS_ROOT:
            start = ["python", "-I", str(state / "fence.py"), json.dumps(allowed_by("safelight")), *self._whole(start)]
            give(state / "fence.py", FENCE.read_text())
        self._log = state.parent / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command("venv", state, *start),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=surroundings(state, self.settings | notified.environment),
                cwd="/",
                start_new_session=True,
            )

    @staticmethod
    def _whole(words: list[str]) -> list[str]:
        return [str(prefix("venv") / "bin" / words[0]), *words[1:]]

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def key(self) -> str:
        """The key of the default workspace."""
        return (self.data_dir / "api-key").read_text().strip()

    def processes(self) -> list[psutil.Process]:
        """Those that it has started."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def process_of(self, *words: str) -> psutil.Process:
        """The one whose command line has these words, the youngest of them."""
        found = [each for each in self.processes() if all(word in " ".join(each.cmdline()) for word in words)]
        return max(found, key=lambda each: each.create_time())

    def models(self) -> set[str]:
        return {model["id"] for model in httpx.get(f"{self.base_url}/v2/models", headers=self.headers).json()}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_state() as state, open_notified(state) as notified:
        started = Service(state, notified)
        try:
            yield started
        finally:
            for process in started.processes():
                with suppress(psutil.Error):
                    process.kill()
            started.process.kill()
            started.process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def ready(service: Service) -> Service:
    eventually(lambda: service.process.poll() is not None or bool(service.notified.states()), "ready, or over")
    assert service.notified.states() == ["READY"], service.log
    return service


def test_it_is_ready_once_it_can_serve(ready: Service) -> None:
    assert httpx.get(f"{ready.base_url}/readyz").status_code == 200
    assert ready.notified.last("STATUS") == f"Serving on {ready.base_url}, and working."
    assert "Safelight" in ready.log and "is ready." in ready.log


def test_it_runs_without_rights_and_nobody_inherits_the_service_manager(ready: Service) -> None:
    processes = ready.processes()
    assert len(processes) >= 8, "PostgreSQL's are among them"
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(process.environ())
            facts = Path(f"/proc/{process.pid}/status").read_text()
            values = dict(line.split(":\t", 1) for line in facts.splitlines() if ":\t" in line)
            assert process.uids().real != 0
            if IS_ROOT:
                assert int(values["CapBnd"], 16) == 0 and values["NoNewPrivs"] == "1" and values["Seccomp"] == "2"


def test_an_image_of_a_reference_by_http(ready: Service) -> None:
    """The renderer works, and so does the fence within the fence: what decodes references allows itself less still."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
    body = {
        "model": "seedream-5-lite",
        "prompt": "a red boat",
        "resolution": "1K",
        "images": [{"url": f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"}],
    }
    made = httpx.post(f"{ready.base_url}/v2/images/generations", json=body, headers=ready.headers, timeout=90).json()
    assert made["status"] == "completed", made
    assert len(httpx.get(made["data"][0]["url"]).content) > 1000
    assert "calls_fenced=True" in ready.log


def test_what_is_made_during_a_reload_is_made_and_then_the_new_catalog_is_in_force(ready: Service) -> None:
    give(ready.catalog, SHIPPED.read_text().replace('id = "z-image-turbo"', 'id = "renamed"'))
    os.kill(ready.process.pid, signal.SIGHUP)

    film = ready.state / "boat.mp4"
    client = {"SAFELIGHT_BASE_URL": ready.base_url, "SAFELIGHT_API_KEY": ready.key}
    words = ["generate", "a red boat", "--model", "seedance-v1-pro", "--resolution", "480p", "-o", str(film)]
    done = run("venv", ready.state, "safelight", *words, **client)
    assert done.returncode == 0, done.stderr
    assert film.read_bytes()[4:8] == b"ftyp"
    done = run("venv", ready.state, "safelight", "doctor", "--json", **ready.settings)
    assert done.returncode == 0 and json.loads(done.stdout)["ok"], done.stdout + done.stderr

    ready.notified.wait_for("READY", "RELOADING", "READY")
    assert ready.notified.last("MONOTONIC_USEC").isdecimal()
    assert "renamed" in ready.models()


def test_a_wrong_catalog_is_told_and_changes_nothing(ready: Service) -> None:
    before = ready.notified.states()
    give(ready.catalog, "models = 5")
    os.kill(ready.process.pid, signal.SIGHUP)
    ready.notified.wait_for(*before, "RELOADING", "READY")
    assert ready.notified.last("STATUS").startswith("Not reloaded: ") and "models" in ready.notified.last("STATUS")
    assert "renamed" in ready.models()


@pytest.mark.parametrize("words", [("cli.child serve",), ("cli.child worker",)], ids=["API", "worker"])
def test_a_process_that_hangs_is_not_said_to_live(ready: Service, words: tuple[str, ...]) -> None:
    ready.notified.wait_for_beat()
    hung = ready.process_of(*words)  # of the API: the youngest, which serves
    hung.send_signal(signal.SIGSTOP)
    try:
        ready.notified.wait_for_silence()
    finally:
        hung.send_signal(signal.SIGCONT)
    ready.notified.wait_for_beat()


def test_who_tells_metrics_may_hang_or_die(ready: Service) -> None:
    """Nothing is restarted for it, and a reload before this has not waited for it either."""
    before = ready.notified.states()
    listener = ready.process_of("cli.child metrics")
    listener.send_signal(signal.SIGSTOP)
    for _ in range(6):  # a service manager gives up after four
        ready.notified.wait_for_beat()
    os.kill(ready.process.pid, signal.SIGHUP)
    ready.notified.wait_for(*before, "RELOADING", "READY")
    listener.kill()
    scrape = "safelight_build_info"
    eventually(lambda: scrape in _scraped(ready), "another one tells")
    ready.notified.wait_for_beat()


def _scraped(service: Service) -> str:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://{service.metrics}/metrics").text
    return ""


def test_it_says_that_it_stops_and_leaves_nothing(ready: Service) -> None:
    processes = ready.processes()
    ready.process.send_signal(signal.SIGTERM)
    assert ready.process.wait(PATIENCE_SECONDS) == 0
    assert ready.notified.states()[-1] == "STOPPING"
    eventually(lambda: not any(each.is_running() for each in processes), "all of its processes have ended")
