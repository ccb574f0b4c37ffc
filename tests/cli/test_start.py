"""The same start everywhere: whoever runs it, wherever its folder lies, whatever the environment holds."""

from __future__ import annotations

import io
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from safelight.cli import up
from safelight.cli.options import notes
from safelight.node.settings import Settings
from tests.support.server import COMMAND, PATIENCE_SECONDS, Server, clean_environment, eventually

NOBODY_KNOWN = 4711  # no user of any system that runs these tests
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def make_key(folder: Path, *before: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that makes the data folder and its database, and uses it."""
    environment = clean_environment(env)
    del environment["HOME"]
    return subprocess.run(
        [*before, COMMAND, "keys", "create", "--plain", "--data-dir", str(folder)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS * 2,
        cwd="/",
    )


@only_root
def test_a_user_without_a_name_or_a_home(server_folder: Path) -> None:
    """As in a container that was given a number for its user. It may read the interpreter, wherever that lies."""
    os.chown(server_folder, NOBODY_KNOWN, NOBODY_KNOWN)
    user = ["setpriv", f"--reuid={NOBODY_KNOWN}", f"--regid={NOBODY_KNOWN}", "--clear-groups"]
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    done = make_key(server_folder / "data", *user, *reading)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sk_")
    assert {path.stat().st_uid for path in (server_folder / "data").rglob("*")} == {NOBODY_KNOWN}


@only_root
def test_root_in_a_closed_folder_opens_it_to_nobody(server_folder: Path) -> None:
    closed = server_folder / "closed"
    below = closed / "below"
    below.mkdir(parents=True)
    for folder in (closed, below):
        folder.chmod(0o700)
    server_folder.chmod(0o700)
    done = make_key(below / "data")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sk_") and not done.stderr
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (server_folder, closed, below)} == {0o700}


def listening(*arguments: str, folder: Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [COMMAND, *arguments, "--data-dir", str(folder / "data")],
            env=clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
    return process, log


@pytest.mark.database
def test_serve_in_a_pod_takes_a_free_port_and_says_where_it_listens(server_folder: Path, database_url: str) -> None:
    env = {
        "SAFELIGHT_DATABASE_URL": database_url,
        "SAFELIGHT_LOG_LEVEL": "error",
        "SAFELIGHT_PORT": "tcp://10.0.0.1:8484",
        "SAFELIGHT_PORT_8484_TCP": "tcp://10.0.0.1:8484",
        "SAFELIGHT_PORT_8484_TCP_ADDR": "10.0.0.1",
        "SAFELIGHT_SERVICE_HOST": "10.0.0.1",
        "SAFELIGHT_SERVICE_PORT": "8484",
    }
    process, log = listening("serve", "--port", "0", folder=server_folder, env=env)
    try:
        said = re.compile(r"^Safelight \S+ listens on (http://127\.0\.0\.1:[1-9]\d+)\. ", re.M)
        eventually(lambda: bool(said.search(log.read_text())) or process.poll() is not None, "where it listens")
        found = said.search(log.read_text())
        assert found is not None, log.read_text()
        assert "safelight: SAFELIGHT_PORT is ignored: tcp://10.0.0.1:8484 is what Kubernetes sets" in log.read_text()

        def answers() -> bool:
            try:
                return httpx.get(f"{found[1]}/healthz", timeout=10).status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, "an answer there")
        assert len(log.read_text().splitlines()) == 2
    finally:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


def test_the_front_door_leads_to_the_dashboard_and_the_reference(server: Server) -> None:
    browser = {"accept": "text/html"}
    for method in ("GET", "HEAD"):
        answer = httpx.request(method, f"{server.base_url}/", headers=browser)
        assert (answer.status_code, answer.headers["location"], answer.content) == (307, "dashboard", b"")
        followed = httpx.request(method, f"{server.base_url}/", headers=browser, follow_redirects=True)
        assert followed.status_code == 200
        assert httpx.request(method, f"{server.base_url}/").status_code == 200
    assert httpx.get(f"{server.base_url}/").json()["reference"] == f"{server.base_url}/docs"
    for path in ("/docs", "/openapi.json"):
        whole, head = httpx.get(f"{server.base_url}{path}"), httpx.head(f"{server.base_url}{path}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))
        assert head.headers["content-type"] == whole.headers["content-type"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_new_key_and_a_way_in_are_shown_to_a_person_and_kept_from_logs(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    link = "http://127.0.0.1:8484/dashboard/enter#once"
    up._print_summary(Settings(data_dir=Path("/var/lib/safelight")), "sk_secret", True, link)
    assert ("sk_secret" in out.getvalue()) == out.isatty()
    assert (link in out.getvalue()) == out.isatty()
    assert "/dashboard" in out.getvalue()
    assert "/var/lib/safelight/api-key" in out.getvalue()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_links_that_lead_nowhere_from_elsewhere_are_told(host: str) -> None:
    (note,) = notes(Settings(host=host))
    assert "Set SAFELIGHT_PUBLIC_URL" in note and Settings(host=host).base_url in note
    assert not notes(Settings(host=host, public_url="https://media.example.com"))
    assert not notes(Settings(host="10.0.0.7"))


@pytest.mark.database
@pytest.mark.parametrize("host", ["localhost", "*"])
def test_a_host_by_name_is_listened_on(host: str, server_folder: Path, database_url: str) -> None:
    env = {"SAFELIGHT_DATABASE_URL": database_url, "SAFELIGHT_LOG_LEVEL": "error"}
    process, log = listening("serve", "--port", "0", "--host", host, folder=server_folder, env=env)
    try:
        place = re.compile(r"(http://(?:localhost|127\.0\.0\.1):\d+)/docs")

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            found = place.search(log.read_text())
            try:
                return found is not None and httpx.get(f"{found[1]}/healthz", timeout=10).status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, "an answer there")
    finally:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("words", ["doctor", "keys --help", "--version", "keys list"])
def test_closed_streams_lead_nowhere(words: str, closed: str, server_folder: Path) -> None:
    """What a command opens does not take their numbers, and nothing written for one goes to another."""
    line = f'exec "$0" {words} {closed}'
    env = clean_environment({"SAFELIGHT_DATA_DIR": str(server_folder / "data")})
    done = subprocess.run(["sh", "-c", line, COMMAND], env=env, capture_output=True, text=True, check=False, cwd="/")
    is_unready = words in ("doctor", "keys list")  # there is no database
    assert done.returncode == is_unready
    assert "fault of Safelight" not in done.stderr and "Traceback" not in done.stderr
    if words == "keys list":
        assert not done.stdout
        assert done.stderr.startswith("safelight: There is no database") == ("2" not in closed)


@pytest.mark.parametrize("words", ["--help", "keys create --help", "--version", "doctor", "provenance show"])
def test_a_reader_that_has_had_enough(words: str, server_folder: Path) -> None:
    env = clean_environment({"SAFELIGHT_DATA_DIR": str(server_folder / "data")})
    subprocess.run([COMMAND, "provenance", "init"], env=env, check=True, capture_output=True, cwd="/")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [COMMAND, *words.split()], env=env, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd="/"
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_while_modules_are_imported_shows_nothing() -> None:
    """A terminal's Ctrl-C, whenever it comes after the entry was read."""
    code = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'cyclopts': os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from safelight.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@only_root
@pytest.mark.parametrize("words", ["doctor", "migrate", "up --port 0", "keys create", "provenance init"])
def test_a_folder_that_is_mounted_read_only(words: str, server_folder: Path) -> None:
    """By root, whom no mode of a folder keeps out."""
    folder = server_folder / "data"
    folder.mkdir()
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", str(folder), COMMAND, *words.split()]
    env = clean_environment({"SAFELIGHT_DATA_DIR": str(folder)})
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd="/")
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("this root may not mount")
    assert done.returncode == 1
    assert "is on a read-only file system. Mount it writable" in done.stdout + done.stderr


def test_a_worker_imports_nothing_of_the_api_and_its_pages() -> None:
    code = (
        "import sys, safelight.cli.worker; "
        "print([m for m in ('safelight.api.app', 'safelight.dashboard', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
