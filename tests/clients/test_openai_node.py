"""The official client of OpenAI's API for Node, un-mocked."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from safelight.providers.noop import png
from tests.clients.media import encoded_picture, spent
from tests.clients.reader import exported, run_node
from tests.contract.accounts import Account


def test_images(account: Account) -> None:
    told: dict[str, Any] = json.loads(run_node("openai_images.mjs", exported(account)))
    assert {"gpt-image-1", "seedream-5-lite", "sora-2"} <= set(told["models"])
    assert (told["model"]["id"], told["model"]["object"]) == ("gpt-image-1", "model")
    # 3:2 is 1248x832 at 1K, which is nearer in area to what was asked for than 2K.
    assert encoded_picture(told["generated"]["data"][0]["b64_json"]) == ("png", 1248, 832)
    assert told["generated"]["size"] == "1248x832"
    assert [encoded_picture(image["b64_json"]) for image in told["several"]["data"]] == [("png", 1024, 1024)] * 2
    assert encoded_picture(told["edited"]["data"][0]["b64_json"]) == ("webp", 1024, 1024)
    assert encoded_picture(told["edited_of_two"]["data"][0]["b64_json"]) == ("png", 1024, 1024)
    for events, kind in ((told["streamed"], "image_generation"), (told["streamed_edit"], "image_edit")):
        assert {event["type"] for event in events} <= {f"{kind}.partial_image", f"{kind}.completed"}
        assert events[-1]["type"] == f"{kind}.completed"
        assert encoded_picture(events[-1]["b64_json"]) == ("png", 1024, 1024)
        assert "total_tokens" in events[-1]["usage"]
    assert told["refused"] == {
        "name": "BadRequestError",
        "status": 400,
        "code": "content_policy_violation",
        "type": "invalid_request_error",
    }
    assert spent(account) == 7 * Decimal("0.03")  # the refused one costs nothing


def test_videos(account: Account, tmp_path: Path) -> None:
    frame = tmp_path / "first.png"
    frame.write_bytes(png())
    told: dict[str, Any] = json.loads(run_node("openai_videos.mjs", exported(account), str(frame)))
    created, completed = told["created"], told["completed"]
    assert (created["object"], created["seconds"], created["size"]) == ("video", "4", "1280x720")
    assert created["status"] in {"queued", "in_progress"}
    assert created.get("error") is None
    assert (completed["status"], completed["progress"]) == ("completed", 100)
    assert completed["id"] == created["id"]
    assert told["content"]["type"] == "video/mp4"
    assert told["content"]["box"] == "ftyp"
    assert told["listed"] == [created["id"]]
    assert told["remixed"]["remixed_from_video_id"] == created["id"]
    assert told["remixed"]["seconds"] == "4"
    assert told["deleted"] == {"id": created["id"], "object": "video.deleted", "deleted": True}
    assert told["failed"]["status"] == "failed"
    assert told["failed"]["error"]["code"]
    assert told["failed"]["error"]["message"]
    refused = told["refused"]
    assert (refused["name"], refused["status"], refused["param"]) == ("BadRequestError", 400, "seconds")
    assert "4" in refused["message"]
    assert spent(account) == 2 * 4 * Decimal("0.026")
