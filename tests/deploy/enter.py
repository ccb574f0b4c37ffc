"""The first steps of a container's own process: its root, its mounts, its user; then it becomes the command.

Run by ``engine.py`` in new namespaces, with the plan as its argument. Only the standard library.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def main() -> None:
    plan = json.loads(sys.argv[1])
    mount("--make-rprivate", "/")
    base = Path("/mnt")
    mount("-t", "tmpfs", "container", str(base))
    layer = Path(plan["layer"])
    layer.mkdir(parents=True, exist_ok=True)
    root, work = base / "root", layer.with_name(f"{layer.name}.work")
    root.mkdir()
    work.mkdir(exist_ok=True)
    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={layer},workdir={work}", str(root))
    mount("--rbind", "/dev", str(root / "dev"))
    mount("-t", "tmpfs", "-o", "size=64m,mode=1777", "shm", str(root / "dev/shm"))
    mount("-t", "proc", "proc", str(root / "proc"))
    mount("-t", "tmpfs", "-o", "mode=1777", "tmp", str(root / "tmp"))
    for path, here in plan["volumes"].items():
        mount("--bind", here, str(root / path.lstrip("/")))
    for path, here in plan["files"].items():
        target = root / path.lstrip("/")
        if not target.exists():  # below what is a container's own, such as /tmp
            target.mkdir(parents=True)
        mount("--bind", "-o", "ro", here, str(root / path.lstrip("/")))
    if not plan["writable"]:
        mount("-o", "remount,ro,bind", str(root))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.chroot(root)
    os.chdir(plan["workdir"])
    uid, _, gid = plan["user"].partition(":")
    drop = ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups"]
    if not plan["writable"]:
        drop += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    os.execvp(drop[0], [*drop, "--", *plan["command"]])


main()
