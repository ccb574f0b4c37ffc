"""Install from Debian what the tests need and Python's packages do not bring. Does nothing when all is there.

Run by ``make test``. As root it installs what is missing; as another user it says what to install, and fails.
Only the standard library: it also runs before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Debian's package, and a program or a file by which we know that it is there.
PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "faketime": "faketime",
    "ffmpeg": "ffprobe",
    "fish": "fish",
    "iproute2": "ip",
    "jq": "jq",
    "libimage-exiftool-perl": "exiftool",
    "libnginx-mod-http-js": "/usr/lib/nginx/modules/ngx_http_js_module.so",
    "nginx": "nginx",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "systemd": "systemd-analyze",
    "zsh": "zsh",
}
_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def main() -> int:
    """Make it so; the exit status."""
    missing = missing_packages()
    if not missing:
        return 0
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"The tests need {', '.join(missing)}. Install them, such as with: sudo {' '.join(install)}",
            file=sys.stderr,
        )
        return 1
    print(f"Installing {', '.join(missing)} for the tests ...", flush=True)
    # In that runlevel no package starts its service.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["apt-get", "update", "--quiet"], [*install, "--quiet"]):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(f"{done.stdout}{done.stderr}\n'{' '.join(command)}' failed.", file=sys.stderr)
            return 1
    missing = missing_packages()
    if missing:
        print(f"Still missing after the installation: {', '.join(missing)}.", file=sys.stderr)
        return 1
    return 0


def missing_packages() -> list[str]:
    return [package for package, sign in PACKAGES.items() if not _is_there(sign)]


def _is_there(sign: str) -> bool:
    return Path(sign).exists() if sign.startswith("/") else shutil.which(sign, path=_SEARCH) is not None


if __name__ == "__main__":
    sys.exit(main())
