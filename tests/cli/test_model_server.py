"""``safelight model-server``, as far as it goes without what computes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from safelight.cli import run

CATALOG = '[[pipelines]]\nname = "x"\nsource = "owner/name"\ntasks = ["text-to-image"]\n'


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    return path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "whoever reaches it could order"),
        (["--host", "example.com"], "whoever reaches it could order"),
        (["--host", "not a host"], "--host: 'not a host' is no host"),
        (["--key", "sk-1"], "--key: a key is written as env:NAME or file:PATH"),
        (["--key", "env:NOWHERE_SET"], "the variable is not set"),
        (["--catalog", "/nowhere/catalog.toml"], "There is no catalog /nowhere/catalog.toml"),
    ],
)
def test_what_would_not_do_is_refused_in_a_line(
    catalog: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    named = [] if "--catalog" in arguments else ["--catalog", str(catalog)]
    assert run(["model-server", *named, *arguments]) == 1
    shown = capsys.readouterr().err
    assert told in shown and len(shown.strip().splitlines()) == 1


def test_what_is_not_installed_is_told(
    catalog: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("ray", "torch") else find("json"))
    assert run(["model-server", "--catalog", str(catalog)]) == 1
    assert "needs ray, torch. Run: pip install 'safelight[ray]'." in capsys.readouterr().err
