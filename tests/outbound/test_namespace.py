"""In a network namespace: not one packet to a denied address, whatever is named (see ``in_namespace.py``)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.outbound.in_namespace import CANNOT, DENIED, PUBLIC, PUBLIC_V4

NEEDED = "needs Linux, unshare, ip and mount, and root or unprivileged user namespaces"


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    if sys.platform != "linux" or not all(shutil.which(tool) for tool in ("unshare", "ip", "mount")):
        pytest.skip(f"no network namespace can be made here: {NEEDED}")
    tried = []
    for options in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *options, "--net", "--mount", sys.executable, "-m", "tests.outbound.in_namespace"]
        environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=Path(__file__).parents[2]
        )
        if done.returncode == 0:
            return dict(json.loads(done.stdout.splitlines()[-1]))
        unshare_failed = done.stderr.startswith("unshare:")
        if done.returncode != CANNOT and not unshare_failed:
            pytest.fail(done.stderr or done.stdout)
        tried.append((done.stderr if unshare_failed else done.stdout).strip())
    pytest.skip(f"no network namespace can be made here ({'; '.join(tried)}): {NEEDED}")


def test_public_addresses_are_reached(report: dict[str, Any]) -> None:
    scenario = report["public_addresses_are_reached"]
    assert scenario["outcomes"] == ["picture"] * 4
    assert set(scenario["accepted"]) == set(scenario["packets"]) == PUBLIC


@pytest.mark.parametrize("name", ["denied_answers", "mixed_answers", "denied_literals", "names_that_do_not_exist"])
def test_nothing_is_sent(report: dict[str, Any], name: str) -> None:
    scenario = report[name]
    assert set(scenario["outcomes"]) <= {"not fetched", "refused"}
    # Only what a URL itself spells wrongly is told in other words.
    spelled_wrongly = sum(ip.startswith("::ffff:") or ip == "::10.0.0.1" for ip in DENIED)
    assert scenario["outcomes"].count("refused") == (spelled_wrongly if name == "denied_literals" else 0)
    assert scenario["accepted"] == scenario["packets"] == []


def test_spellings_are_refused(report: dict[str, Any]) -> None:
    scenario = report["refused_spellings"]
    assert set(scenario["outcomes"]) == {"refused"}
    assert scenario["accepted"] == scenario["packets"] == []


def test_redirects_reach_nothing_else(report: dict[str, Any]) -> None:
    scenario = report["redirects_to_denied_places"]
    assert set(scenario["outcomes"]) == {"not fetched"}
    assert scenario["accepted"] == scenario["packets"] == [PUBLIC_V4]


def test_a_name_that_turns_private_between_redirects(report: dict[str, Any]) -> None:
    scenario = report["a_name_that_turns_private_between_redirects"]
    assert scenario["outcomes"] == ["not fetched"]
    assert scenario["accepted"] == scenario["packets"] == [PUBLIC_V4]


def test_rebinding_gains_nothing(report: dict[str, Any]) -> None:
    scenario = report["rebinding_is_not_asked_again"]
    assert scenario["outcomes"] == ["picture", "asked 1 time", "not fetched"]
    assert scenario["accepted"] == scenario["packets"] == [PUBLIC_V4]


def test_proxies_are_not_used(report: dict[str, Any]) -> None:
    scenario = report["proxies_of_the_environment"]
    assert scenario["outcomes"] == ["picture"]
    assert scenario["accepted"] == scenario["packets"] == [PUBLIC_V4]


def test_posts_reach_nothing_denied(report: dict[str, Any]) -> None:
    scenario = report["posts"]
    assert set(scenario["outcomes"][:-1]) <= {"denied_address", "bad_url"}
    assert scenario["outcomes"][-1] == "307"
    assert scenario["accepted"] == scenario["packets"] == [PUBLIC_V4]


def test_what_the_operator_opens_is_reached(report: dict[str, Any]) -> None:
    scenario = report["an_opened_network_is_reached"]
    assert scenario["outcomes"] == ["picture", "picture", "not fetched"]
    assert scenario["accepted"] == scenario["packets"] == ["10.0.0.1", "10.9.9.9"]


def test_no_packet_went_unseen(report: dict[str, Any]) -> None:
    assert {scenario["missed"] for scenario in report.values()} == {0}


def test_the_instruments_see_what_is_not_guarded(report: dict[str, Any]) -> None:
    scenario = report["unguarded"]
    assert scenario["outcomes"] == ["200"] * 5
    assert len(scenario["accepted"]) == len(scenario["packets"]) == 5
