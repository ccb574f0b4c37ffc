"""What came of a run's orders, told to the operator: kept on the row, and in one line of the log. Never to a client."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from safelight.domain.catalog import Binding
from safelight.domain.money import format_usd
from safelight.domain.outcomes import NOTHING_SAID, Answer, FailureClass, Handle, Report, Usage
from safelight.domain.ports import Backend
from safelight.domain.text import first_bytes, without_secrets

MAX_WORDS_BYTES = 2048
MAX_NAME_BYTES = 200
_MOST_READ = 16 * 1024
_LEAST_SECRET = 8
_SEEDS = 2**64
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def report_of(
    outcome: str,
    binding: Binding | None,
    backend: Backend | None,
    *,
    reason: FailureClass | None = None,
    detail: str = "",
    answer: Answer = NOTHING_SAID,
) -> Report:
    """A report as it may be kept: cleared of every secret of the connection, and cut."""
    secrets = backend.every_secret() if backend else ()

    def cleared(text: str | None, most: int) -> str | None:
        return as_kept(text, secrets, most)

    return Report(
        at=datetime.now(UTC),
        connection=None if binding is None else binding.connection,
        upstream_model=None if binding is None else binding.upstream_model,
        outcome=outcome,
        reason=reason and reason.value,
        detail=cleared(detail, MAX_WORDS_BYTES),
        status=answer.status,
        code=cleared(answer.code, MAX_NAME_BYTES),
        request_id=cleared(answer.request_id, MAX_NAME_BYTES),
        words=cleared(answer.words, MAX_WORDS_BYTES),
        usage=_bounded(answer.usage, secrets),
        cost=None if answer.cost_nanos is None else format_usd(answer.cost_nanos),
        is_billed=answer.is_billed,
        seed=answer.seed if answer.seed is not None and abs(answer.seed) < _SEEDS else None,
        revised_prompt=cleared(answer.revised_prompt, MAX_WORDS_BYTES),
    )


def as_kept(text: str | None, secrets: tuple[str, ...], most: int) -> str | None:
    """A backend's words as they may be kept: without the secrets, fit to be shown, and cut to so many bytes."""
    if not text:
        return None
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", without_secrets(text[:_MOST_READ], secrets))
    return first_bytes(shown, most) or None


def _bounded(usage: Usage | None, secrets: tuple[str, ...]) -> Usage | None:
    """The usage as it may be kept: without its raw form where that is long, or holds what is secret."""
    if usage is None:
        return None
    return usage if _is_fit(usage.raw, secrets) else msgspec.structs.replace(usage, raw={})


def may_be_kept(handle: Handle, secrets: tuple[str, ...]) -> bool:
    """Whether a job's handle can stand in a row. A short key, such as ``none``, is in one by chance."""
    return _is_fit(handle, tuple(secret for secret in secrets if len(secret) >= _LEAST_SECRET))


def _is_fit(document: dict[str, Any], secrets: tuple[str, ...]) -> bool:
    """Whether it is short, holds nothing that is secret, and no NUL, which the database does not take."""
    raw = msgspec.json.encode(document).decode()
    return len(raw) <= MAX_WORDS_BYTES and without_secrets(raw, secrets) == raw and "\\u0000" not in raw


def log_fields(report: Report | None) -> dict[str, object]:
    """A report as fields of one log line; those that are not there are left out."""
    if report is None:
        return {}
    names = (
        "connection",
        "upstream_model",
        "reason",
        "detail",
        "status",
        "code",
        "request_id",
        "words",
        "cost",
        "is_billed",
    )
    fields = {name: getattr(report, name) for name in names}
    return {
        name: " ".join(value.split()) if isinstance(value, str) else value
        for name, value in fields.items()
        if value is not None
    }
