"""How many renderers a machine or a container has room for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from safelight.node import processors
from safelight.node.processors import renderers

GIB = 1 << 30


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 16 processors with 64 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096}.__getitem__)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"memory.max": f"{3 * GIB}\n"}, 3),
        ({"memory.max": f"{GIB // 2}\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 8),
    ],
)
def test_a_container_has_what_it_was_given(files: dict[str, str], wanted: int, tmp_path: Path) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert renderers(tmp_path) == wanted


@pytest.mark.usefixtures("large")
def test_a_process_that_may_run_on_few_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert renderers(tmp_path) == processors.processors(tmp_path) == 2
