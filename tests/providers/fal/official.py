"""What fal's own client does with the stand-in, in a process that knows it by its environment: prints it as JSON."""

from __future__ import annotations

import json
import sys

from fal_client.client import FalClientHTTPError, SyncClient

IMAGES, VIDEOS = sys.argv[1:]


def declined(prompt: str) -> list[object]:
    try:
        client.submit(IMAGES, {"prompt": prompt})
    except FalClientHTTPError as error:
        return [error.status_code, error.error_type]
    return []


def ended(prompt: str) -> list[object]:
    try:
        client.submit(VIDEOS, {"prompt": prompt}).get(interval=0.01)
    except FalClientHTTPError as error:
        return [error.status_code, error.error_type]
    return []


client = SyncClient()
handle = client.submit(
    IMAGES,
    {"prompt": "a hill", "image_size": {"width": 64, "height": 64}, "seed": 7},
    webhook_url="https://safelight.example/hook",
    priority="low",
    start_timeout=30,
    headers={"X-Fal-No-Retry": "1"},
)
states = [type(state).__name__ for state in handle.iter_events(with_logs=True, interval=0.01)]
finished = handle.status()
result = handle.get(interval=0.01)
by_id = client.result(VIDEOS, client.submit(VIDEOS, {"prompt": "a hill"}).request_id)
waiting = client.submit(IMAGES, {"prompt": "a hill"})
waiting.cancel()
stopped = waiting.status()
print(
    json.dumps(
        {
            "states": states,
            "metrics": finished.metrics,
            "result": result,
            "by_id": by_id,
            "stopped": [type(stopped).__name__, stopped.error_type],
            "refused": declined("refused hill"),
            "broke": declined("broke hill"),
            "broken": declined("broken hill"),
            "policy": ended("policy hill"),
            "timeout": ended("timeout hill"),
            "crashed": ended("crashed hill"),
        }
    )
)
