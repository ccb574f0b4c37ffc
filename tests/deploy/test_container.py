"""The image as `compose.yaml` runs it, without a container engine (see ``engine``)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import compose
from tests.deploy.engine import REPOSITORY, Image, first_process, inside, running
from tests.support.server import eventually

# More than the 64 MiB of /dev/shm: two tables joined by a hash table that several processes fill.
PARALLEL = """
create unlogged table numbers as select generate_series(1, 1500000) as number;
alter table numbers set (parallel_workers = 2);
analyze numbers;
set work_mem = '256MB';
set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
set enable_mergejoin = off;
select count(*) from numbers a join numbers b using (number);
drop table numbers;
"""


class Container:
    """One that runs, as ``exec`` sees it."""

    def __init__(self, image: Image, process: subprocess.Popen[bytes], log: Path, data: Path) -> None:
        self.image, self.process, self.log, self.data = image, process, log, data

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        return inside(self.process, command, image=self.image)

    def said(self, *command: str) -> str:
        done = self.exec(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_healthy(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.exec(*self.image.healthcheck).returncode == 0

    def wait_until_healthy(self, *, starts: int = 1) -> None:
        """At this start of those in its log. Its check is made once it says itself that it is ready: each takes an
        interpreter, and many of them at once make the start late."""

        def says_so() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.log.read_text().count(" is ready.") == starts

        eventually(says_so, "the container says that it is ready")
        eventually(self.is_healthy, "the container is healthy")

    def stop(self, grace_seconds: float) -> int:
        os.kill(first_process(self.process), signal.Signals[self.image.stop_signal])
        return self.process.wait(grace_seconds)

    def as_client(self, *words: str) -> dict[str, object]:
        key = (self.data / "api-key").read_text().strip()
        return dict(json.loads(self.said("env", f"SAFELIGHT_API_KEY={key}", "safelight", *words, "--json")))


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory, image: Image) -> Path:
    uid, gid = map(int, image.user.split(":"))
    data = tmp_path_factory.mktemp("volume")
    os.chown(data, uid, gid)
    data.chmod(0o700)
    for folder in (data.parent, data.parent.parent):
        folder.chmod(0o755)
    return data


@pytest.fixture(scope="module")
def container(image: Image, volume: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    log = tmp_path_factory.mktemp("log") / "log"
    environment = compose.read("compose.yaml")["services"]["safelight"]["environment"]
    with running(image, image.command, volumes={"/data": volume}, environment=environment, log=log) as process:
        made = Container(image, process, log, volume)
        made.wait_until_healthy()
        yield made


def test_it_is_nobody_and_can_write_nothing(container: Container) -> None:
    assert container.said("id", "--user").strip() == container.image.user.partition(":")[0] != "0"
    for path in ("/", "/opt/safelight", "/etc", "/usr/bin"):
        done = container.exec("touch", f"{path}/written")
        assert done.returncode != 0 and "Read-only" in done.stderr
    status = container.said("cat", "/proc/1/status")
    assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def test_it_has_the_pages_and_the_units_of_its_release(container: Container) -> None:
    assert container.said("safelight", "docs", "operating") == (REPOSITORY / "docs/operating.md").read_text()
    assert "ExecStart=/opt/safelight/bin/safelight worker" in container.said("safelight", "service", "safelight-worker")


def test_an_image_from_a_picture_and_a_video_are_made(container: Container) -> None:
    image = container.as_client("generate", "A cat", "--resolution", "1K", "-o", "/tmp/cat.png")
    assert image["status"] == "completed"
    words = ["--model", "seedance-v1-pro", "--resolution", "480p", "-i", "first:/tmp/cat.png", "-o", "/tmp/cat.mp4"]
    assert container.as_client("generate", "The cat walks", *words)["status"] == "completed"
    assert int(container.said("stat", "--format=%s", "/tmp/cat.mp4")) > 10_000
    # What decoded the picture can make no other system call than it needs.
    assert '"calls_fenced": true' in container.log.read_text()


def test_it_is_backed_up_and_put_back(container: Container) -> None:
    assert "1 workspaces" in container.said("safelight", "backup", "/data/backup.tar")
    said = container.said("safelight", "restore", "/data/backup.tar", "--data-dir", "/tmp/drill")
    assert "The books balance." in said
    container.said("rm", "-r", "/data/backup.tar", "/tmp/drill")


def test_its_database_needs_no_more_shared_memory_than_a_container_has(container: Container) -> None:
    assert "64M" in container.said("df", "--human-readable", "/dev/shm")
    script = (
        "import sys, psycopg\n"
        "from pathlib import Path\n"
        "from safelight.db.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path('/data')) as url, psycopg.connect(url, autocommit=True) as connection:\n"
        "    results = connection.execute(sys.argv[1])\n"
        "    while results.nextset():\n"
        "        if results.description: print(results.fetchone()[0])\n"
    )
    assert container.said("python", "-c", script, PARALLEL).strip() == "1500000"


def test_what_others_leave_is_reaped(container: Container) -> None:
    """A hundred processes whose parents end first."""
    container.said("sh", "-c", "for i in $(seq 100); do (sleep 0.1 &); done")
    states = ["sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null | grep -c '(sleep) ' || true"]
    eventually(lambda: container.said(*states).strip() == "0", "all are reaped")


def test_it_stops_in_time_and_goes_on_where_it_was(container: Container, image: Image) -> None:
    """The last test here: it ends the container, and starts another on what is left in the volume."""
    grace_seconds = compose.grace_seconds(compose.read("compose.yaml")["services"]["safelight"])
    before = container.as_client("jobs")
    assert container.stop(grace_seconds) == 0
    with running(image, image.command, volumes={"/data": container.data}, log=container.log) as process:
        again = Container(image, process, container.log, container.data)
        again.wait_until_healthy(starts=2)
        assert again.as_client("jobs") == before
        assert again.stop(grace_seconds) == 0
