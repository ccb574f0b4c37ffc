"""Where the package is run: as a user without rights, on a machine that has nothing but it.

As root this is a mount namespace (mount_namespaces(7)) in which the environment is read-only at ``/opt/safelight``, the
checkout is gone, and what ``deploy/systemd`` asks of the kernel is in force as far as it can be had without systemd.
Otherwise it is the environment where it was made, with the rights that we have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.support.server import open_folder

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build/package"
FENCE = Path(__file__).with_name("fence.py")
NOBODY = 65534
IS_ROOT = os.geteuid() == 0
PREFIX = Path("/opt/safelight")

Environment = Literal["venv", "bare"]
"""With the extras that an installation of one machine has, and without any."""

# Arguments: the environment, the interpreter's own folder, the highest folder above that which is closed to others (or
# ""), the checkout, the folder that may be written.
_NAMESPACE = r"""
set -e
environment=$1 base=$2 closed=$3 checkout=$4 state=$5
shift 5
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/safelight /opt/base /opt/state
mount --bind "$environment" /opt/safelight
mount --bind "$base" /opt/base
mount --bind "$state" /opt/state
if [ -n "$closed" ]; then
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$base"
    mount --bind /opt/base "$base"
fi
mount -t tmpfs -o mode=755 tmpfs "$checkout"
# PrivateTmp=, PrivateDevices=, ProtectProc=
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p "$state"
mount --bind /opt/state "$state"
mount -t tmpfs -o mode=755 tmpfs /opt/state
for device in null zero full random urandom tty; do
    touch /opt/state/$device && mount --bind /dev/$device /opt/state/$device
done
mkdir /opt/state/shm && mount -t tmpfs -o mode=1777,size=64m tmpfs /opt/state/shm
ln -s /proc/self/fd /opt/state/fd
mount --rbind /opt/state /dev
mount -t proc -o hidepid=invisible,nosuid,nodev,noexec proc /proc
# ProtectSystem=strict, ProtectKernelTunables=, ProtectControlGroups=
for place in / /opt /opt/safelight "$base" "$checkout" /sys; do
    if mountpoint -q "$place"; then mount -o remount,bind,ro "$place"; fi
done
mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
cd /
# User=, CapabilityBoundingSet=, NoNewPrivileges=
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
"""


def prefix(environment: Environment) -> Path:
    """Where that environment is, for what runs in the place."""
    return PREFIX if IS_ROOT else BUILT / environment


def command(environment: Environment, state: Path, *arguments: str | Path) -> list[str]:
    """The command line that runs ``arguments`` there. The first is a program of the environment."""
    program, *rest = map(str, arguments)
    there = [str(prefix(environment) / "bin" / program), *rest]
    if not IS_ROOT:
        return there
    python = Path(sys.executable).resolve()
    base = python.parents[1]
    closed = next((str(each) for each in reversed(python.parents) if not each.stat().st_mode & 0o001), "")
    places = [BUILT / environment, base, closed, ROOT, state]
    # PrivateIPC=, ProtectHostname=
    new = ["unshare", "--mount", "--ipc", "--uts", "--propagation", "private"]
    return [*new, "sh", "-c", _NAMESPACE, "place", *map(str, places), *there]


def surroundings(state: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What systemd gives a service for an environment, and ``extra``."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": str(state), **(extra or {})}


@contextmanager
def open_state() -> Iterator[Path]:
    """An empty folder that belongs to the user there."""
    with open_folder() as folder:
        state = folder / "state"
        state.mkdir(mode=0o700)
        if IS_ROOT:
            os.chown(state, NOBODY, NOBODY)
        yield state


def run(
    environment: Environment, state: Path, *arguments: str | Path, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment to its end there."""
    return subprocess.run(
        command(environment, state, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env=surroundings(state, extra),
        stdin=subprocess.DEVNULL,
        cwd="/",
    )


def give(path: Path, text: str) -> None:
    """Write a file that the user there may read."""
    path.write_text(text)
    if IS_ROOT:
        shutil.chown(path, NOBODY, NOBODY)
