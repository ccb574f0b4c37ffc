"""Why a run did not go on, told to the operator: kept on the row, and in one line of the log. Never to a client."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from safelight.domain.catalog import Binding
from safelight.domain.outcomes import Answer, FailureClass, Report
from safelight.domain.ports import Backend
from safelight.domain.text import first_bytes, without_secrets

MAX_WORDS_BYTES = 2048
_MAX_NAME_BYTES = 200
_NOTHING_SAID = Answer()
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def report_of(
    outcome: str,
    binding: Binding | None,
    backend: Backend | None,
    *,
    reason: FailureClass | None = None,
    detail: str = "",
    answer: Answer = _NOTHING_SAID,
) -> Report:
    """A report as it may be kept: cleared of every secret of the connection, and cut."""
    secrets = backend.every_secret() if backend else ()

    def cleared(text: str | None, most: int) -> str | None:
        shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", without_secrets(text or "", secrets))
        return first_bytes(shown, most) or None

    return Report(
        at=datetime.now(UTC),
        connection=None if binding is None else binding.connection,
        upstream_model=None if binding is None else binding.upstream_model,
        outcome=outcome,
        reason=reason and reason.value,
        detail=cleared(detail, MAX_WORDS_BYTES),
        status=answer.status,
        code=cleared(answer.code, _MAX_NAME_BYTES),
        request_id=cleared(answer.request_id, _MAX_NAME_BYTES),
        words=cleared(answer.words, MAX_WORDS_BYTES),
    )


def log_fields(report: Report | None) -> dict[str, object]:
    """A report as fields of one log line; those that are not there are left out."""
    if report is None:
        return {}
    names = ("connection", "upstream_model", "reason", "detail", "status", "code", "request_id", "words")
    fields = {name: getattr(report, name) for name in names}
    return {
        name: " ".join(value.split()) if isinstance(value, str) else value
        for name, value in fields.items()
        if value is not None
    }
