"""Why it failed, for the operator alone: on the row, in one line of the log, and never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight.lifecycle.turns import MAX_ROUNDS
from safelight.providers.chaos import CANARY
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model
from tests.support.server import safelight

KEY = "farm-key-9b1d77e2"
KEYED = {"keyed": {"kind": "chaos", "key": "env:FARM_KEY"}}
DOWN = {"behaviour": "unavailable", "times": -1, "retry_after_seconds": 0.05}


@pytest.fixture
def site(deploy: Deploy) -> Deployment:
    made = deploy(env={"FARM_KEY": KEY})
    made.edit_catalog(
        Model("bad-key", "image", ("keyed", {"behaviour": "raw_error"})),
        Model("refused", "image", ("keyed", {"behaviour": "refused"})),
        Model("down-then-ok", "image", ("keyed", DOWN), ("noop", {})),
        Model("html", "image", ("keyed", {"behaviour": "html"})),
        Model("fails-later", "video", ("keyed", {"behaviour": "fails_later", "fails_as": "permanent"})),
        Model("lost", "video", ("chaos-blind", {"behaviour": "lost_answer"})),
        Model("crash", "image", ("keyed", {"behaviour": "crash"})),
        connections=KEYED,
    )
    return made


def record(site: Deployment, generation_id: str) -> dict[str, Any]:
    shown = safelight("generations", "show", generation_id, "--json", env=site.env)
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def newest(site: Deployment) -> str:
    return str(site.sql("select id from generations order by id desc limit 1")[0]["id"])


def test_a_refusal_is_kept_whole_and_without_the_key(site: Deployment) -> None:
    api = site.serve()
    answer = site.image(api, "bad-key")
    assert answer.status_code == 502
    generation_id = newest(site)
    (report,) = record(site, generation_id)["backend_reports"]
    assert {name: report[name] for name in ("connection", "upstream_model", "outcome", "reason")} == {
        "connection": "keyed",
        "upstream_model": "bad-key",
        "outcome": "declined",
        "reason": "auth",
    }
    assert (report["status"], report["code"], report["request_id"]) == (401, "invalid_key", f"chaos-{generation_id}")
    assert report["words"] == "from upstream: key *** is not valid"
    (line,) = [line for line in api.log.splitlines() if "backend declined" in line]
    for word in ("keyed", "401", "invalid_key", f"chaos-{generation_id}", "from upstream: key *** is not valid"):
        assert word in line
    in_words = safelight("generations", "show", generation_id, env=site.env).stdout
    assert "from upstream: key *** is not valid" in in_words and "401" in in_words
    for said in ("upstream", "invalid_key", "chaos-", "keyed"):
        assert said not in answer.text, "a client is told nothing of it"
        assert said not in site.request(api, "GET", f"/v2/images/generations/{generation_id}").text


def test_every_decline_before_a_success_is_kept(site: Deployment) -> None:
    assert site.image(site.serve(), "down-then-ok").status_code == 200
    found = record(site, newest(site))
    assert (found["state"], found["connection"]) == ("completed", "noop")
    assert [(report["outcome"], report["status"]) for report in found["backend_reports"]] == [("declined", 503)]


def test_the_newest_ten_reports_are_kept(site: Deployment) -> None:
    names = [f"farm-{place}" for place in range(4)]  # each declines four times, and its breaker stays closed
    site.edit_catalog(
        Model("all-down", "image", *((name, DOWN) for name in names)),
        connections={name: {"kind": "chaos", "memory": name} for name in names},
    )
    assert site.image(site.serve(), "all-down").status_code == 502
    reports = record(site, newest(site))["backend_reports"]
    assert len(reports) == 10 < 4 * MAX_ROUNDS
    assert [report["at"] for report in reports] == sorted(report["at"] for report in reports)


def test_what_came_and_could_not_be_kept_is_told(site: Deployment) -> None:
    assert site.image(site.serve(), "html").status_code == 502
    (report,) = record(site, newest(site))["backend_reports"]
    assert (report["connection"], report["outcome"]) == ("keyed", "undelivered")
    assert report["detail"]


def test_a_job_that_failed_and_an_answer_that_was_lost_are_told(site: Deployment) -> None:
    api = site.serve()
    site.worker()
    failed, lost = site.video(api, "fails-later"), site.video(api, "lost")
    assert site.ended(api, failed)["error"]["code"] == "generation_failed"
    (report,) = record(site, failed)["backend_reports"]
    assert (report["outcome"], report["code"], report["words"]) == ("failed", "worker_lost", "worker lost, key ***")
    site.wait_for_state(lost, "unknown")
    assert record(site, lost)["backend_reports"][0]["outcome"] == "unknown"


def test_an_adapter_that_breaks_quotes_nothing(site: Deployment) -> None:
    site.image(site.serve(), "crash")
    (report,) = record(site, newest(site))["backend_reports"]
    assert report["outcome"] == "unknown"
    assert report["detail"].startswith("the adapter broke: RuntimeError at chaos.py:")


def test_a_refusal_by_policy_is_no_secret_and_goes_with_the_request(site: Deployment) -> None:
    api = site.serve()
    assert site.image(api, "refused").status_code == 422
    generation_id = newest(site)
    assert record(site, generation_id)["backend_reports"][0]["words"]
    site.sql("update generations set request = null where id = %s", generation_id)
    found = record(site, generation_id)
    assert (found["backend_reports"], found["is_request_kept"]) == ([], False)


def test_no_secret_is_anywhere(site: Deployment) -> None:
    api = site.serve()
    site.worker()
    for model in ("bad-key", "refused", "down-then-ok", "html", "crash"):
        site.image(api, model)
    site.ended(api, site.video(api, "fails-later"))
    everything = json.dumps(site.sql("select to_jsonb(g) as row from generations g"), default=str)
    for secret in (KEY, CANARY):
        assert secret not in everything
        assert secret not in site.logs
    assert "***" in everything, "where it stood"


def test_an_unknown_id_is_a_line(site: Deployment) -> None:
    for wrong in ("req-01K0000000000000000000000Z", "nonsense"):
        refused = safelight("generations", "show", wrong, env=site.env)
        assert refused.returncode == 1
        assert "There is no generation" in refused.stderr
