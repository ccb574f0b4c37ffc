"""How many pictures a second the model server makes, beside diffusers in a loop. ``make bench-ray`` runs this.

One replica, and one thread of one processor for either: what is lost between two pictures is what is measured. The
pipeline is of random weights, and a picture takes half a second to a second: of a real one, less is lost.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.real.ray.process import ModelServerProcess, write_catalog
from tests.support.server import open_folder

PICTURES = 15
ROUNDS = 3
_AT_ONCE = 4
_SIZE = 64
_STEPS = 30
_LOOP = """
import sys, time, torch
from diffusers import DiffusionPipeline
torch.set_num_threads(1)
pipe = DiffusionPipeline.from_pretrained(sys.argv[1], local_files_only=True)
pipe.set_progress_bar_config(disable=True)
size, steps, count = map(int, sys.argv[2:])
draw = lambda: pipe(prompt="a red fox", width=size, height=size, num_inference_steps=steps)
with torch.inference_mode():
    draw()
    started = time.monotonic()
    for _ in range(count):
        draw()
    print("seconds", time.monotonic() - started)
"""


def loop_rate(weights: Path) -> float:
    """Pictures a second of diffusers alone, in a process of its own."""
    command = [sys.executable, "-c", _LOOP, str(weights), str(_SIZE), str(_STEPS), str(PICTURES)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return PICTURES / float(done.stdout.rpartition("seconds")[2])


def server_rate(server: ModelServerProcess) -> float:
    """Pictures a second through HTTP, with as many orders waiting as keep the replica busy."""
    body = {"model": "sd", "prompt": "a red fox", "size": f"{_SIZE}x{_SIZE}", "steps": _STEPS}

    def order(_: int) -> None:
        assert server.client.post("/v1/images/generations", json=body).status_code == 200

    with ThreadPoolExecutor(_AT_ONCE) as clients:
        list(clients.map(order, range(_AT_ONCE)))
        started = time.monotonic()
        list(clients.map(order, range(PICTURES)))
        return PICTURES / (time.monotonic() - started)


def main() -> None:
    from tests.real.ray import weights

    with open_folder() as folder:
        made = weights.stable_diffusion(folder / "sd")
        entry = {"name": "sd", "source": "./sd", "tasks": ["text-to-image"], "gpus": 0, "cpus": 1}
        server = ModelServerProcess(folder, write_catalog(folder / "models.toml", [entry])).wait_until_settled()
        try:
            # In turns, so that what else the machine does falls on both.
            rounds = [(loop_rate(made), server_rate(server)) for _ in range(ROUNDS)]
        finally:
            server.stop()
    for alone, served in rounds:
        print(f"diffusers in a loop {alone:.2f}, through the model server {served:.2f} pictures a second")
    print(f"ratio {statistics.median(served / alone for alone, served in rounds):.2f} (median of {ROUNDS})")


if __name__ == "__main__":
    main()
