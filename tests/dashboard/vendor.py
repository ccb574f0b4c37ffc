"""``make vendor``: fetch others' files of the dashboard at the versions of VENDOR.toml, and write their hashes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "src/safelight/dashboard/static/vendor"
LIST = FOLDER / "VENDOR.toml"


def main() -> int:
    text = LIST.read_text()
    npm = Path(sys.executable).with_name("npm")
    for entry in tomllib.loads(text)["files"]:
        with tempfile.TemporaryDirectory() as folder:
            name = f"{entry['package']}@{entry['version']}"
            packed = subprocess.run(
                [npm, "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True
            )
            with tarfile.open(Path(folder) / packed.stdout.strip().splitlines()[-1]) as archive:
                file = archive.extractfile(f"package/{entry['path']}")
                assert file is not None
                content = file.read()
        (FOLDER / entry["file"]).write_bytes(content)
        text = re.sub(rf'(?m)^sha256 = "{entry["sha256"]}"$', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', text)
        print(f"{entry['file']}: {name}")
    LIST.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
