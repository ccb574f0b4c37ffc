"""The alert rules, judged by promtool: each fires on what it is for, and none on a site that is well."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from safelight.telemetry.metrics import DECLARED
from tests.deploy.engine import REPOSITORY
from tests.deploy.expressions import metrics_in

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
RULES = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"][0]["rules"]

# As after two hours of a site that is well, a sample a minute.
HEALTHY = {
    'up{job="safelight", instance="api-1"}': "1x120",
    "safelight_books_ok": "1x120",
    "safelight_books_checked_seconds": "60x120",
    "safelight_database_up": "1x120",
    "safelight_workers": "2x120",
    'safelight_http_requests_total{status="200"}': "0+100x120",
    'safelight_http_requests_total{status="500"}': "0+0x120",
    'safelight_generations_total{model="m", outcome="completed"}': "0+20x120",
    'safelight_generations_total{model="m", outcome="failed"}': "0+0x120",
    'safelight_generations{type="video", state="unknown"}': "0x120",
    'safelight_queue_oldest_seconds{queue="remote"}': "2x120",
    "safelight_leases_lost_total": "0+0x120",
    'safelight_provider_breaker_open{provider="fal", connection="fal"}': "0x120",
    'safelight_provider_calls_total{provider="fal", call="submit", result="ok"}': "0+9x120",
    'safelight_provider_calls_total{provider="fal", call="submit", result="auth"}': "0+0x120",
    'safelight_money_nanos_total{movement="held"}': "0+1000000000x120",
    'safelight_money_nanos_total{movement="captured"}': "0+900000000x120",
    'safelight_money_nanos_total{movement="released"}': "0+100000000x120",
    "safelight_money_held_nanos": "5000000000x120",
    'safelight_storage_operations_total{operation="put", result="ok"}': "0+20x120",
    'safelight_storage_operations_total{operation="put", result="error"}': "0+0x120",
    "safelight_deletions_overdue": "0x120",
    "safelight_webhook_oldest_pending_seconds": "0x120",
    "safelight_certificate_expires_seconds": "300000000x120",
}
# What is different where an alert fires, and the labels that it has then.
WRONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "SafelightBooksDoNotBalance": ({"safelight_books_ok": "0x120"}, {}),
    "SafelightDatabaseAway": ({"safelight_database_up": "0x120"}, {}),
    "SafelightNodeAway": (
        {'up{job="safelight", instance="api-1"}': "0x120"},
        {"job": "safelight", "instance": "api-1"},
    ),
    "SafelightNoWorker": ({"safelight_workers": "0x120"}, {}),
    "SafelightServerErrors": ({'safelight_http_requests_total{status="500"}': "0+2x120"}, {}),
    "SafelightFailures": ({'safelight_generations_total{model="m", outcome="failed"}': "0+2x120"}, {"model": "m"}),
    "SafelightUnknownOutcomes": ({'safelight_generations{type="video", state="unknown"}': "1x120"}, {}),
    "SafelightQueueWaits": ({'safelight_queue_oldest_seconds{queue="remote"}': "90x120"}, {"queue": "remote"}),
    "SafelightLeasesLost": ({"safelight_leases_lost_total": "0x110 1x10"}, {}),
    "SafelightConnectionLeftAlone": (
        {'safelight_provider_breaker_open{provider="fal", connection="fal"}': "1x120"},
        {"provider": "fal", "connection": "fal"},
    ),
    "SafelightProviderRefusesUs": (
        {'safelight_provider_calls_total{provider="fal", call="submit", result="auth"}': "0+1x120"},
        {"provider": "fal"},
    ),
    "SafelightMoneyDrifts": ({'safelight_money_nanos_total{movement="captured"}': "0+300000000x120"}, {}),
    "SafelightBooksNotLookedAt": ({"safelight_books_checked_seconds": "4000x120"}, {}),
    "SafelightStoreFails": ({'safelight_storage_operations_total{operation="put", result="error"}': "0+3x120"}, {}),
    "SafelightDeletionsOverdue": ({"safelight_deletions_overdue": "2x120"}, {}),
    "SafelightWebhooksWait": ({"safelight_webhook_oldest_pending_seconds": "700x120"}, {}),
    "SafelightCertificateEnds": ({"safelight_certificate_expires_seconds": "86400x120"}, {}),
}


def test_every_rule_is_tried() -> None:
    assert set(WRONG) == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"]) <= {*DECLARED, "up"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"] and rule["annotations"]["action"]


def test_each_fires_on_what_it_is_for_and_on_nothing_else(tmp_path: Path) -> None:
    cases = [_case({}, [])]
    for name, (different, labels) in WRONG.items():
        severity = next(rule["labels"]["severity"] for rule in RULES if rule["alert"] == name)
        cases.append(_case(different, [(name, labels | {"severity": severity})]))
    document = {"rule_files": [str(PROMETHEUS / "rules.yml")], "evaluation_interval": "1m", "tests": cases}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _case(different: dict[str, str], fires: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """What is given, and of every rule whether it fires."""
    firing = dict(fires)
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in (HEALTHY | different).items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{rule["alert"]}", alertstate="firing"}}) or vector(0)',
                "eval_time": "2h",
                "exp_samples": [{"labels": "{}", "value": int(rule["alert"] in firing)}],
            }
            for rule in RULES
        ]
        + [
            {
                "expr": "count by ({}) (ALERTS{{alertname='{}', alertstate='firing'}})".format(", ".join(labels), name),
                "eval_time": "2h",
                "exp_samples": [{"labels": _labels(labels), "value": 1}],
            }
            for name, labels in fires
        ],
    }


def _labels(labels: dict[str, str]) -> str:
    return "{{{}}}".format(", ".join(f'{name}="{value}"' for name, value in labels.items()))


@pytest.mark.parametrize("what", [("rules", "rules.yml"), ("config", "prometheus.yml")])
def test_its_files_are_valid(what: tuple[str, str]) -> None:
    done = subprocess.run(
        ["promtool", "check", what[0], PROMETHEUS / what[1]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
