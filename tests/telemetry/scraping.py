"""What Prometheus would read: pages, parsed by its client's own parser."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Series = Mapping[tuple[str, Labels], float]

_PATIENCE_SECONDS = 30.0


class Scraper:
    """Reads the pages of one listener."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def text(self, page: str = "") -> str:
        answer = httpx.get(f"{self.base_url}/metrics{page}", headers=self.headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.text

    def series(self, page: str = "") -> Series:
        return parsed(self.text(page))

    def until(self, condition: Callable[[Series], bool], page: str = "") -> Series:
        """The first page that it holds for. A process puts on record once a second what it counts."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition(found := self.series(page)):
            assert time.monotonic() < deadline, f"waited in vain; the last page was {self.text(page)}"
            time.sleep(0.1)
        return found


def parsed(text: str) -> Series:
    """By name and labels. Each series is there once."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def total(series: Series, name: str, **labels: str) -> float:
    """The sum of the series of that name that have these labels."""
    wanted = frozenset(labels.items())
    return sum(value for (each, its), value in series.items() if each == name and wanted <= its)


def fallen(before: Series, after: Series) -> list[str]:
    """The counters, and those of histograms, that are less than they were, or gone."""
    rising = ("_total", "_bucket", "_count", "_sum")
    return [
        f"{name}{sorted(labels)}: {value} -> {after.get((name, labels))}"
        for (name, labels), value in before.items()
        if name.endswith(rising) and after.get((name, labels), -1.0) < value
    ]
