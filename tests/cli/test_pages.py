"""What the pages say to type works as it stands: their shell blocks are run, with other addresses and folders only."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.blobs import seaweed
from tests.support.postgres import TestDatabases
from tests.support.server import COMMAND, PATIENCE_SECONDS, Server, clean_environment, eventually, free_port

ROOT = Path(__file__).parents[2]
LASTS = re.compile(r"^safelight (up|serve|worker)\b", re.M)


def blocks(page: str, heading: str = "") -> list[str]:
    """The shell blocks of a page, or of one of its sections."""
    text = (ROOT / page).read_text()
    if heading:
        text = re.split(r"^## ", re.split(rf"^## {re.escape(heading)}$", text, flags=re.M)[1], flags=re.M)[0]
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S)
    return [block for language, block in fenced if language in ("", "sh")]


class Machine:
    """Where blocks are typed: a folder, other addresses, and processes that go on when a block has ended."""

    def __init__(self, folder: Path, instead: Mapping[str, str]) -> None:
        self.folder = folder
        self.instead = dict(instead)
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def _script(self, block: str) -> str:
        for written, here in self.instead.items():
            block = block.replace(written, here)
        return f"set -eu\n{block}"

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(COMMAND).parent), str(Path(sys.executable).parent), os.environ["PATH"]])
        return clean_environment({"PATH": path})

    def type(self, block: str) -> str:
        """Run a block to its end; what it prints."""
        done = subprocess.run(
            ["sh", "-c", self._script(block)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS * 2,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def start(self, block: str, until: str) -> None:
        """Run a block that goes on; return when it has printed ``until``."""
        log = self.folder / f"{len(self._running)}.log"
        script = LASTS.sub(r"exec safelight \1", self._script(block))
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["sh", "-c", script],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((process, log))
        eventually(lambda: until in log.read_text() or process.poll() is not None, f"{until} of\n{block}")
        assert process.poll() is None, log.read_text()

    def stop(self) -> None:
        """End what goes on; it ends well."""
        for process, _ in self._running:
            process.send_signal(signal.SIGTERM)
        for process, log in self._running:
            assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
            assert "Traceback" not in log.read_text()

    def kill(self) -> None:
        """For the end of a test that may have failed."""
        for process, _ in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def machine(folder: Path, instead: Mapping[str, str]) -> Iterator[Machine]:
    folder.mkdir()
    made = Machine(folder, instead)
    try:
        yield made
        made.stop()
    finally:
        made.kill()


@pytest.mark.database
@pytest.mark.timeout(900)  # two nodes, and a dozen commands one after the other
def test_several_nodes_as_the_page_says(
    databases: TestDatabases, s3_server: seaweed.Server, server_folder: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    instead = {
        "postgresql://safelight:secret@db/safelight": databases.create_bare(),
        "s3://bucket/prefix": s3_server.url("several", "nodes"),
        "https://media.example.com": url,
        "--host 0.0.0.0 --port 8484": f"--host 127.0.0.1 --port {port}",
        "/etc/safelight": str(server_folder / "etc"),
        "examples/": f"{ROOT}/examples/",
    }
    write_down, once, api_node, worker_node, use = blocks("docs/operating.md", "On several")
    with (
        machine(server_folder / "api", instead | {"/var/lib/safelight": str(server_folder / "api/data")}) as api,
        machine(
            server_folder / "worker", instead | {"/var/lib/safelight": str(server_folder / "worker/data")}
        ) as worker,
    ):
        api.type(write_down)
        key = api.type(once).split()[-1]
        assert key.startswith("sk_")
        api.start(api_node, until=f"listens on {url}")
        written = (server_folder / "etc/env").read_text()
        copied = written.replace(str(server_folder / "api/data"), str(server_folder / "worker/data"))
        (server_folder / "worker-env").write_text(copied)
        worker.instead = {". /etc/safelight/env": f". {server_folder}/worker-env"} | worker.instead
        worker.start(worker_node, until="working")
        api.instead |= {"sk_...": key}
        said = api.type(use)
        assert "image.png: " in said and "video.mp4: " in said
        assert (api.folder / "image.png").read_bytes()[:4] == b"\x89PNG"
        assert (api.folder / "video.mp4").read_bytes()[4:8] == b"ftyp"
        assert not list((server_folder / "api/data").glob("media/*")), "the media is in the bucket"

        root = f"{server_folder}/etc/provenance/root.pem"
        for block in [*blocks("docs/billing.md"), *blocks("docs/delivery.md")]:
            typed = block.replace("file.png", "image.png").replace("root.pem", root)
            api.type(f"set -a; . /etc/safelight/env; set +a\n{typed}")


def test_one_machine_and_the_readme(server: Server, server_folder: Path) -> None:
    (up,) = blocks("docs/operating.md", "On one machine")
    assert up.split()[:2] == ["safelight", "up"] and {"--data-dir", "--host", "--port"} <= set(up.split())
    said = []
    for program in re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), flags=re.M | re.S):
        program = program.replace("http://127.0.0.1:8484", server.base_url).replace("sk_...", server.key)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=server_folder, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    with_openais, with_getimgs = said
    assert (with_openais, (server_folder / "clouds.mp4").read_bytes()[4:8]) == ("", b"ftyp")
    assert with_getimgs.startswith(f"{server.base_url}/v2/downloads/")
