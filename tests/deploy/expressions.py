"""What an expression of PromQL asks for."""

from __future__ import annotations

import re

_METRIC = re.compile(r"\b(safelight_\w+|up\b)")
_PARTS = re.compile(r"_(bucket|sum|count)$")


def metrics_in(expression: str) -> set[str]:
    """The metrics that it names, a histogram by its own name."""
    without_labels = re.sub(r'"[^"]*"', '""', expression)
    return {_PARTS.sub("", name) for name in _METRIC.findall(without_labels)}
