"""Which of the files that a job saved is its result, as nodes of many makers list them."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Failed, FailureClass
from safelight.providers.comfyui.history import expected_files, failure_in, refusal_words, result_in


def file(name: str, folder: str = "output", subfolder: str = "") -> dict[str, str]:
    return {"filename": name, "subfolder": subfolder, "type": folder}


IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO


@pytest.mark.parametrize(
    ("outputs", "type_", "wanted", "name"),
    [
        ({"9": {"images": [file("a.png")]}}, IMAGE, None, "a.png"),
        ({"9": {"images": [file("a.PNG")]}}, IMAGE, "9", "a.PNG"),
        ({"9": {"images": [file("a.png")]}}, IMAGE, "10", None),
        ({"8": {"images": [file("t.png", "temp")]}, "9": {"images": [file("a.png")]}}, IMAGE, None, "a.png"),
        ({"8": {"images": [file("t.png", "temp")]}}, IMAGE, None, "t.png"),
        ({"9": {"images": [file("a.png")], "animated": [True]}}, VIDEO, None, None),
        ({"9": {"images": [file("a.mp4")], "animated": [True]}}, VIDEO, None, "a.mp4"),
        ({"9": {"gifs": [{**file("a.mp4"), "format": "video/h264-mp4", "frame_rate": 16.0}]}}, VIDEO, "9", "a.mp4"),
        ({"9": {"videos": [file("a.mp4")], "images": [file("first.png")]}}, VIDEO, None, "a.mp4"),
        ({"9": {"videos": [file("a.mp4")], "images": [file("first.png")]}}, IMAGE, None, "first.png"),
        ({"9": {"audio": [file("a.flac")], "text": ["hello"]}}, VIDEO, None, None),
        ({"9": {"images": [None, 1, {"filename": 5}, {"filename": "a.webp"}]}}, IMAGE, None, "a.webp"),
        ({"9": None, "10": [], "11": {"images": "a.png"}}, IMAGE, None, None),
        (None, IMAGE, None, None),
        ([], IMAGE, None, None),
    ],
)
def test_the_result_is_the_file_of_the_kind_that_was_kept(
    outputs: Any, type_: GenerationType, wanted: str | None, name: str | None
) -> None:
    found = result_in(outputs, type_, wanted)
    assert (found and found.filename) == name


def test_a_file_is_served_by_its_three_names() -> None:
    found = result_in({"9": {"images": [file("ä b&c.png", subfolder="x/y")]}}, IMAGE, None)
    assert found is not None
    assert found.path == "view?filename=%C3%A4+b%26c.png&subfolder=x%2Fy&type=output"


def test_a_clip_with_sound_is_looked_for_before_the_silent_one() -> None:
    names = [each.filename for each in expected_files("req-1", VIDEO)]
    assert names.index("req-1_00001-audio.mp4") < names.index("req-1_00001.mp4")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"status_str": "success", "completed": True, "messages": []}, None),
        (None, None),
        ("error", None),
        ({"status_str": "error"}, FailureClass.PERMANENT),
        ({"status_str": "error", "messages": [["execution_interrupted", {}]]}, FailureClass.CANCELED),
        ({"status_str": "error", "messages": [["execution_error", {}]]}, FailureClass.PERMANENT),
        (
            {
                "status_str": "error",
                "messages": [["execution_error", {"exception_type": "torch.cuda.OutOfMemoryError"}]],
            },
            FailureClass.TRANSIENT,
        ),
        ({"status_str": "error", "messages": [None, [], ["x"], ["execution_error", 5]]}, FailureClass.PERMANENT),
    ],
)
def test_a_status_is_a_failure_when_it_says_so(status: Any, reason: FailureClass | None) -> None:
    found = failure_in(status)
    assert (found.reason if isinstance(found, Failed) else None) is reason


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"error": "no"}, {"error": {"type": 5}}, {"node_errors": []}, {"node_errors": {"1": None}}],
)
def test_a_refusal_of_any_shape_has_words(body: Any) -> None:
    assert refusal_words(body)[1]
