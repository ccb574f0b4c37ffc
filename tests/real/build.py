"""Compiles stable-diffusion.cpp's server from the source that its Python bindings publish, and writes weights for it.

`make real` runs this. It takes three minutes on two processors the first time, and then nothing until a pin changes.
Everything lies under build/real/.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import msgspec

from tests.real import weights

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "real"
TOOL_PINS = ROOT / "requirements" / "real.txt"
ENGINE_PINS = ROOT / "requirements" / "real-engine.txt"
SERVER = FOLDER / "compiled" / "bin" / "sd-server"
# No frontend: it is built with what is not in the source. Not for this processor alone: a build folder may be moved.
OPTIONS = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=OFF", "-DGGML_CCACHE=OFF", "-DSD_SERVER_BUILD_FRONTEND=OFF"]


class Built(msgspec.Struct, frozen=True):
    """What was built, from what, and how long fetching and compiling took."""

    inputs: str
    build_seconds: float


def inputs() -> str:
    digest = hashlib.sha256(json.dumps(OPTIONS).encode())
    for pins in (TOOL_PINS, ENGINE_PINS):
        digest.update(pins.read_bytes())
    return digest.hexdigest()


def built() -> Built | None:
    """What lies there, if it is of the present pins."""
    stamp = FOLDER / "built.json"
    if not (stamp.exists() and SERVER.exists()):
        return None
    found = msgspec.json.decode(stamp.read_bytes(), type=Built)
    return found if found.inputs == inputs() else None


def run(*command: str | Path) -> None:
    """Run to the end, behind everything else on the machine; what it prints goes to build/real/build.log."""
    with (FOLDER / "build.log").open("ab") as log:
        done = subprocess.run(
            ["nice", "-n", "15", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode != 0:
        sys.exit(f"'{' '.join(map(str, command))}' failed: see {log.name}")


def fetch(tools: Path) -> Path:
    """The engine's source, unpacked. Its metadata is asked of a pinned build backend: pip would take the newest."""
    run(sys.executable, "-m", "venv", tools)
    pip = [tools / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "--require-hashes", "--only-binary", ":all:", "-r", TOOL_PINS)
    download = ["download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--require-hashes"]
    run(*pip, *download, "--dest", FOLDER / "downloaded", "-r", ENGINE_PINS)
    (archive,) = (FOLDER / "downloaded").iterdir()
    with tarfile.open(archive) as packed:
        packed.extractall(FOLDER / "source", filter="data")
    (source,) = (FOLDER / "source").glob("*/vendor/stable-diffusion.cpp")
    return source


def build() -> Built:
    if not shutil.which("c++"):
        sys.exit("make real takes a C++ compiler. Install one, such as with: sudo apt-get install g++")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print("Fetching and compiling sd-server, which takes some minutes the first time ...", flush=True)
    started = time.monotonic()
    tools = FOLDER / "tools"
    source = fetch(tools)
    cmake, ninja = tools / "bin" / "cmake", tools / "bin" / "ninja"
    compiled = FOLDER / "compiled"
    run(cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", *OPTIONS, "-S", source, "-B", compiled)
    run(cmake, "--build", compiled, "--target", "sd-server", "--parallel", str(os.cpu_count() or 1))
    made = Built(inputs=inputs(), build_seconds=time.monotonic() - started)
    (FOLDER / "built.json").write_bytes(msgspec.json.encode(made))
    return made


if __name__ == "__main__":
    if built() is None:
        build()
    weights.write_model(FOLDER)
