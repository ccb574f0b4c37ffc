"""``safelight models``: what it tells of a catalog, what it finds at live backends, and the catalog that it writes."""

from __future__ import annotations

import json
import logging
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from safelight import providers, wiring
from safelight.cli import model_checks, models, run
from safelight.domain.catalog_reader import read_catalog
from safelight.providers.registry import KINDS
from tests.support.server import free_port
from tests.support.tenants import make_tenant_at

KEY = "farm-key-5b20c1"
CATALOG = """
[[connections]]
name = "farm"
kind = "farm"
base_url = "https://farm.example.com/v1"
key = "env:FARM_KEY"

[[connections]]
name = "spare"
kind = "farm"
base_url = "https://spare.example.com"
key = "env:SPARE_KEY"

[[models]]
id = "clip"
name = "Clip"
type = "video"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["16:9", "1:1"]
resolutions = ["720p", "1080p"]
durations = [5, 10]
references = { first_frame = 1 }
supports_sound = true
supports_seed = true
rates = [
  { unit_price = "0.1" },
  { unit_price = "0.12", sound = "sound_on" },
  { unit_price = "0.3", resolution = "1080p" },
]
sizes."720p" = { "16:9" = "1280x720", "1:1" = "720x720" }
sizes."1080p" = { "16:9" = "1920x1080", "1:1" = "1080x1080" }

[[models.bindings]]
connection = "farm"
model = "their-clip"
options = { says = "all is well" }
provider_options = ["style", "camera"]
cost = { "720p" = "0.04", "1080p" = "0.36" }
sizes = { "720p" = { "16:9" = "wide" } }

[[models.bindings]]
connection = "chaos"
provider_options = ["camera"]
cost = "0.2"
"""
STILL = """
[[models]]
id = "{id}"
name = "Still"
type = "image"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
sizes = {{ "1K" = {{ "1:1" = "1024x1024" }} }}
rates = [{{ unit_price = "0.05" }}]
{more}
bindings = [{bindings}]
"""
FARM = '''
"""A backend that answers a look as its binding says."""
import asyncio

import msgspec

from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.outcomes import Finding
from safelight.domain.ports import ProviderKind

LOOKS = []


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    says: str = ""
    level: str = "ok"
    fails: str = ""


class Farm:
    def __init__(self, settings, host):
        self.key = host.read_secret(settings.key)
        if self.key == "no":
            raise RuntimeError(f"cannot use {self.key}")

    @property
    def secrets(self):
        return ("token-" + self.key[::-1],)

    async def check(self, model, binding):
        LOOKS.append((model.id, binding.upstream_model))
        if binding.options.fails == "raises":
            raise RuntimeError(f"key {self.key}")
        if binding.options.fails == "hangs":
            await asyncio.Event().wait()
        text = f"{binding.options.says} {self.key} {self.secrets[0]}"
        return [
            Finding(level=binding.options.level, subject=f"key {self.key}", text=text, remedy=f"not {self.key}"),
            Finding(level="ok", subject="connection", text="it is there"),
        ]

    async def submit(self, order, job):
        raise AssertionError("nothing is ordered")

    async def close(self):
        LOOKS.append("closed")


KIND = ProviderKind(settings=HttpConnectionSettings, options=Options, open=Farm)
'''


@pytest.fixture(autouse=True)
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """One more kind, and what was asked of it; a key, and no database anywhere."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "farm.py").write_text(FARM)
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(folder)])
    monkeypatch.setenv("SAFELIGHT_CONFIG", "/dev/null")
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", f"postgresql://u:secret@127.0.0.1:{free_port()}/none")
    monkeypatch.setenv("FARM_KEY", KEY)
    monkeypatch.delenv("SPARE_KEY", raising=False)
    assert KINDS["farm"].options
    yield sys.modules["safelight.providers.farm"].LOOKS
    sys.modules.pop("safelight.providers.farm", None)
    structlog.reset_defaults()  # what a command set up for its process is not for the tests that follow in this one
    root.handlers[:], root.level = handlers, level


Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs ``safelight models`` over a catalog: its exit status, and what it said."""

    def call(catalog: str, *words: str) -> tuple[int, str]:
        path = tmp_path / "catalog.toml"
        path.write_text(catalog)
        monkeypatch.setenv("SAFELIGHT_CATALOG", str(path))
        status = run(["models", *words])
        said = capsys.readouterr()
        assert KEY not in said.out + said.err and KEY[::-1] not in said.out + said.err
        return status, said.out or said.err

    return call


def still(*bindings: str, id_: str = "still", more: str = "") -> str:
    return STILL.format(id=id_, more=more, bindings=", ".join(f"{{ {binding} }}" for binding in bindings))


def declared() -> str:
    """The connections of the catalog, without its model."""
    return CATALOG.partition("[[models]]")[0]


def test_a_list_tells_each_model_and_the_state_of_each_connection(told: Told, looks: list[Any]) -> None:
    status, out = told(CATALOG, "list", "--json")
    assert status == 0
    found = json.loads(out)
    (clip,) = found["models"]
    assert [rate["unit_price"] for rate in clip["prices"]] == ["0.10", "0.12", "0.30"]
    assert clip["bindings"] == [
        {"connection": "farm", "kind": "farm", "model": "their-clip", "cost": {"720p": "0.04", "1080p": "0.36"}},
        {"connection": "chaos", "kind": "chaos", "model": "clip", "cost": {"any": "0.20"}},
    ]
    assert clip["supports"] == ["seed", "sound", "1 first_frame", "option camera"]
    states = {each["name"]: (each["kind"], each["models"], each["state"]) for each in found["connections"]}
    assert states == {
        "farm": ("farm", 1, "ready"),
        "spare": ("farm", 0, "env:SPARE_KEY: the variable is not set. Set SPARE_KEY to the key."),
        "chaos": ("chaos", 1, "ready"),
    }
    assert "No database at 127.0.0.1" in found["database"] and "secret" not in out
    assert {each["under_way"] for each in found["connections"]} == {None}
    assert looks == [], "nobody is asked"
    in_words = told(CATALOG, "list")[1]
    for word in ("0.30 (1080p)", "0.12 (with sound)", "0.36 (1080p)", "SPARE_KEY", "is not known: No database"):
        assert word in in_words


@pytest.mark.database
def test_a_list_tells_what_is_under_way_and_what_was_lost(
    told: Told, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = make_tenant_at(fresh_database_url, "studio")
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        for hours, cost in ((1, 5_000_000), (23, None), (25, 7_000_000)):
            connection.execute(
                "insert into losses (at, generation_id, workspace_id, type, model, connection, upstream_model, reason,"
                " cost_nanos) values (now() - make_interval(hours => %s), 'r', %s, 'video', 'clip', 'farm', 'x',"
                " 'failed', %s)",
                (hours, tenant.id, cost),
            )
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", fresh_database_url)
    found = json.loads(told(CATALOG, "list", "--json")[1])
    assert found["database"] == "ready"
    assert {
        each["name"]: (each["under_way"], each["losses_in_a_day"], each["lost_in_a_day"])
        for each in found["connections"]
    } == {"farm": (0, 2, "0.005"), "spare": (0, 0, "0.00"), "chaos": (0, 0, "0.00")}


def test_one_is_shown_with_all_that_the_catalog_says(told: Told) -> None:
    status, out = told(CATALOG, "show", "clip", "--json")
    assert status == 0
    shown = json.loads(out)
    assert shown["sizes"]["1080p"] == {"16:9": "1920x1080", "1:1": "1080x1080"}
    assert (shown["durations"], shown["references"], shown["provider_options"]) == (
        [5, 10],
        {"first_frame": 1},
        ["camera"],
    )
    first, second = shown["bindings"]
    assert (first["address"], first["keys"], first["state"]) == (
        "https://farm.example.com/v1",
        ["env:FARM_KEY"],
        "ready",
    )
    assert (first["options"], first["sizes"], second["options"]) == (
        {"says": "all is well"},
        {"720p": {"16:9": "wide"}},
        {},
    )
    assert [tuple(margin.values()) for margin in first["margins"]] == [
        ("720p without sound", "0.10", "0.04", "0.06", "60.0"),
        ("720p with sound", "0.12", "0.04", "0.08", "66.7"),
        ("1080p without sound", "0.30", "0.36", "-0.06", "-20.0"),
        ("1080p with sound", "0.30", "0.36", "-0.06", "-20.0"),
    ]
    in_words = told(CATALOG, "show", "clip")[1]
    for word in ("1920x1080", "their-clip", "-20.0", "https://farm.example.com/v1", "style, camera", "env:FARM_KEY"):
        assert word in in_words
    status, out = told(CATALOG, "show", "absent")
    assert status == 1 and "no model 'absent'. 'safelight models list' shows those that exist." in out


def findings(told: Told, catalog: str, *words: str) -> tuple[int, list[tuple[str, str | None, str, str]]]:
    status, out = told(catalog, "check", *words, "--json")
    found = json.loads(out)
    assert found["ok"] is (status == 0)
    return status, [(each["level"], each["connection"], each["subject"], each["text"]) for each in found["findings"]]


def test_a_check_asks_each_backend_and_shows_no_secret(told: Told, looks: list[Any]) -> None:
    status, found = findings(told, declared() + still('connection = "farm", options = { says = "well" }'))
    assert (status, found) == (
        0,
        [("ok", "farm", "key ***", "well *** token-***"[:8] + " ***"), ("ok", "farm", "connection", "it is there")],
    )
    assert looks == [("still", "still"), "closed"]
    worse = declared() + still('connection = "farm", model = "x", options = { says = "no x", level = "problem" }')
    status, out = told(worse, "check")
    assert status == 1
    assert re.search(r"^ problem +farm: still: key \*\*\* +no x \*\*\* .*\. not \*\*\*$", out, re.M), out
    assert "Problems: 1. Warnings: 0." in out
    assert findings(told, worse.replace('"problem"', '"warning"'))[0] == 0


def test_a_check_of_one_model_asks_for_it_alone(told: Told, looks: list[Any]) -> None:
    catalog = declared() + still('connection = "farm"', id_="one") + still('connection = "spare"', id_="two")
    assert findings(told, catalog, "one")[0] == 0
    assert looks == [("one", "one"), "closed"]
    status, found = findings(told, catalog)
    assert status == 1
    assert ("problem", "spare", "connection", "env:SPARE_KEY: the variable is not set") in found
    assert told(catalog, "check", "three")[0] == 1


def test_what_is_the_same_at_many_models_is_told_once(told: Told) -> None:
    catalog = declared() + "".join(still('connection = "farm"', id_=f"still-{n}") for n in range(6))
    out = json.loads(told(catalog, "check", "--json")[1])
    assert [(each["subject"], len(each["models"])) for each in out["findings"]] == [("key ***", 6), ("connection", 6)]
    assert "still-0, still-1, still-2 and 3 more" in told(catalog, "check")[1]


def test_a_look_that_breaks_or_hangs_is_a_finding_and_keeps_no_other(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_checks.of_backends, "__defaults__", (0.5,))
    catalog = declared() + "".join(
        still(f'connection = "farm", options = {{ fails = "{how}" }}', id_=f"still-{how or 'well'}")
        for how in ("hangs", "raises", "")
    )
    status, found = findings(told, catalog)
    assert status == 1
    texts = [text for level, _, _, text in found if level == "problem"]
    assert texts[0] == "it told nothing within 0.5 s"
    assert texts[1].startswith("the check itself broke: RuntimeError at farm.py:")
    assert ("ok", "farm", "connection", "it is there") in found


def test_a_backend_that_cannot_be_opened_is_a_finding(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_KEY", "no")
    status, found = findings(told, declared() + still('connection = "farm"'))
    assert status == 1
    assert found == [
        ("problem", "farm", "connection", "Connection 'farm' cannot be opened: RuntimeError"),
    ]


def test_what_needs_no_look_and_what_cannot_be_looked_at(told: Told) -> None:
    status, found = findings(told, "".join(still(f'connection = "{k}"', id_=k) for k in ("noop", "builtin", "chaos")))
    assert status == 0
    nothing = "it draws here by rule: there is nothing to look at"
    assert found == [
        ("ok", "noop", "connection", nothing),
        ("ok", "builtin", "connection", nothing),
        ("warning", "chaos", "connection", "it cannot be checked without ordering"),
    ]


OURS = [
    (still('connection = "noop", cost = "0.06"'), "problem", "price", "1K is sold at 0.05 a unit, and costs 0.06"),
    (
        still('connection = "noop"', 'connection = "chaos", cost = "0.06"'),
        "warning",
        "price",
        "1K is sold at 0.05 a unit, and costs 0.06",
    ),
    (
        still('connection = "builtin"', more="supports_negative_prompt = true"),
        "problem",
        "negative_prompt",
        "the model promises it, and no backend of kind 'builtin' is told of it",
    ),
    (
        still('connection = "noop"', more="deadline_seconds = 10"),
        "problem",
        "deadline",
        "deadline_seconds (10) is not longer than SAFELIGHT_LEASE (10s): what a lost node had begun would fail before "
        "another takes it up",
    ),
]


@pytest.mark.parametrize(("catalog", "level", "subject", "text"), OURS)
def test_what_the_catalog_promises_and_cannot_hold(
    told: Told, catalog: str, level: str, subject: str, text: str
) -> None:
    status, found = findings(told, catalog)
    assert [(each[0], each[2], each[3]) for each in found if each[2] != "connection"] == [(level, subject, text)]
    assert status == (level == "problem")


FAIR = [
    still('connection = "noop", cost = "0.05"'),
    still('connection = "builtin"', more="supports_seed = true\ndeadline_seconds = 11"),
    still('connection = "noop"', more="supports_negative_prompt = true"),
]


@pytest.mark.parametrize("catalog", FAIR)
def test_what_it_can_hold_is_not_told(told: Told, catalog: str) -> None:
    assert {each[2] for each in findings(told, catalog)[1]} == {"connection"}


# The catalog that is written

WITH_A_BLOCK = {name for name in KINDS if name not in ("chaos-blind", "noop")}
BLOCK = re.compile(r"^# (\S+): .*(?:\n(?!# \S+: ).*)*", re.M)


def uncommented(block: str) -> str:
    return re.sub(r"^#(?! )", "", block, flags=re.M)


def blocks(text: str) -> dict[str, str]:
    """The commented blocks, by the kinds that they begin with."""
    return {match[1]: match[0] for match in BLOCK.finditer(text) if match[1] in KINDS}


def written(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    assert run(["models", "init", str(path)]) == 0
    return path.read_text()


def read(text: str) -> Any:
    return read_catalog(tomllib.loads(text), source="mine.toml", kinds=wiring.kinds())


def test_it_is_read_as_it_stands_and_has_the_models_that_ship(tmp_path: Path) -> None:
    shipped = resources.files("safelight").joinpath("catalog.toml").read_text()
    assert read(written(tmp_path)) == read(shipped)


def test_each_kind_has_a_block(tmp_path: Path) -> None:
    assert set(blocks(written(tmp_path))) == WITH_A_BLOCK


@pytest.mark.parametrize("kind", sorted(WITH_A_BLOCK))
def test_each_block_is_read_once_it_is_uncommented(tmp_path: Path, kind: str) -> None:
    text = written(tmp_path)
    block = blocks(text)[kind]
    before, after = read(text), read(text.replace(block, uncommented(block)))
    (name,) = set(after.models) - set(before.models)
    assert [after.connections[binding.connection].kind for binding in after.models[name].bindings] == [kind]


def test_all_blocks_together_are_read(tmp_path: Path) -> None:
    text = written(tmp_path)
    every = text
    for block in blocks(text).values():
        every = every.replace(block, uncommented(block))
    assert len(read(every).models) == len(read(text).models) + len(WITH_A_BLOCK)


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("mine")
    assert run(["models", "init", str(path)]) == 1
    assert "already. Name another file." in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_it_is_named_catalog_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["models", "init"]) == 0
    assert (tmp_path / "catalog.toml").read_text() == models.starter()
