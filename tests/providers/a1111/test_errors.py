"""Whatever document comes, something comes of it."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Completed, Failed, Pending, Unknown
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.providers.a1111.answers import job_id_of, picture_of, state_of, told_in
from safelight.providers.a1111.errors import refusal_of

_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
_NAMES = st.sampled_from(
    [
        "images", "info", "error", "errors", "detail", "loc", "msg", "message", "status", "result", "format", "index",
        "seed", "all_seeds", "index_of_first_image", "sd_model_name", "sd_model_hash", "prompt", "progress", "id",
        "started_at", "completed_at", "job_timestamp",
    ]
)  # fmt: skip
_WORDS = st.sampled_from(["completed", "failed", "out of memory", "sampler not found", "AAAA", "2026-01-01T00:00:00"])
DOCUMENTS = st.recursive(
    _LEAVES | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=20,
)


def reply_of(document: Any, status: int = 200) -> Reply:
    return Reply(status, {"x-process-time": "nan"}, msgspec.json.encode(document))


@given(DOCUMENTS, st.sampled_from([400, 404, 409, 422, 429, 500, 502]))
def test_any_refusal_is_read(document: Any, status: int) -> None:
    assert isinstance(refusal_of(reply_of(document, status), ("steps",)), Failed | Unknown)


@given(DOCUMENTS | st.fixed_dictionaries({"images": DOCUMENTS, "info": DOCUMENTS.map(lambda i: str(i))}))
def test_any_picture_is_read(document: Any) -> None:
    reply = reply_of(document)
    outcome = picture_of(reply, told_in(reply), prompt="a hill", seed=7, model="fake-model")
    assert isinstance(outcome, Completed | Failed)
    assert outcome.answer.usage is None


@given(st.fixed_dictionaries({"images": st.just(["AAAA"])}), DOCUMENTS)
def test_any_info_is_read(document: dict[str, Any], info: Any) -> None:
    reply = reply_of(document | {"info": msgspec.json.encode(info).decode()})
    assert isinstance(picture_of(reply, told_in(reply), prompt="a hill", seed=7, model=None), Completed)


@given(DOCUMENTS | st.fixed_dictionaries({"status": _WORDS, "result": DOCUMENTS, "error": DOCUMENTS}))
def test_any_job_is_read(document: Any) -> None:
    api = BackendApi(HttpConnectionSettings(base_url="http://127.0.0.1:9"), {})
    for kind in GenerationType:
        outcome = state_of(reply_of(document), {"id": "1", "seed": 7}, kind, api)
        assert isinstance(outcome, Completed | Failed | Pending | Unknown)
    assert isinstance(job_id_of(reply_of(document)), str | None)


def test_info_that_is_too_deep_is_no_info() -> None:
    reply = reply_of({"images": ["AAAA"], "info": "[" * 100_000})
    outcome = picture_of(reply, told_in(reply), prompt="a hill", seed=7, model=None)
    assert isinstance(outcome, Completed) and outcome.answer.seed == 7
