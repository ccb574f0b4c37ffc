"""The dashboard for Grafana: of metrics that exist, read by Grafana's own kit, and full on a real Prometheus."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiohttp import web
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.grafana import dashboard
from safelight.telemetry.metrics import DECLARED
from tests.deploy.engine import REPOSITORY
from tests.deploy.expressions import metrics_in
from tests.support.hosting import hosted
from tests.support.server import Server, eventually, free_port, safelight

SHIPPED = json.loads(dashboard.FILE.read_text())
GRAPHS = [panel for panel in SHIPPED["panels"] if panel["type"] != "row"]
OWN_NETWORK = {"SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1"}
EXPRESSIONS = {
    f"{panel['title']}: {target['refId']}": target["expr"] for panel in GRAPHS for target in panel["targets"]
}


def test_the_file_is_what_the_source_makes() -> None:
    assert dashboard.FILE.read_text() == dashboard.build(), "run: python -m deploy.grafana.dashboard"


def test_grafanas_own_kit_reads_it() -> None:
    read = Dashboard.from_json(SHIPPED)
    assert json.loads(JSONEncoder().encode(read)) == SHIPPED
    assert sum(isinstance(panel, Panel) for panel in read.panels or []) == len(GRAPHS)


def test_panels_do_not_lie_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in SHIPPED["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_each_expression_asks_for_what_is_declared(name: str) -> None:
    asked = metrics_in(EXPRESSIONS[name])
    assert asked and asked <= set(DECLARED)


def test_every_metric_is_shown() -> None:
    shown = set().union(*(metrics_in(expression) for expression in EXPRESSIONS.values()))
    assert set(DECLARED) <= shown


def test_what_is_provided_names_what_is_there() -> None:
    provisioning = REPOSITORY / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/safelight.yaml").read_text())["providers"]
    compose = yaml.safe_load((REPOSITORY / "deploy/compose/compose.cluster.yaml").read_text())
    assert f"../grafana/dashboards:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]


@contextmanager
def prometheus(folder: Path, node: str) -> Iterator[str]:
    """A real one that asks a node each half second, with the rules that ship; its address."""
    shipped = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    shipped["rule_files"] = [str(REPOSITORY / "deploy/prometheus/rules.yml")]
    for job in shipped["scrape_configs"]:
        job["static_configs"] = [{"targets": [node]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(shipped))
    port = free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def values_of(address: str, expression: str) -> list[Any]:
    asked = expression.replace("$__rate_interval", "20s")
    try:
        body = httpx.get(f"{address}/api/v1/query", params={"query": asked}, timeout=10).json()
    except (httpx.HTTPError, ValueError):  # it is still starting
        return []
    assert body["status"] == "success", body
    return [sample for sample in body["data"]["result"] if sample["value"][1] != "NaN"]


async def _take(request: web.Request) -> web.Response:
    return web.Response(status=204)


class Site:
    """What happens at a site in a day, in seconds."""

    def __init__(self, server: Server, hook: str) -> None:
        done = safelight(
            "webhooks", "create", "--workspace", "default", hook, "--data-dir", server.data_dir, env=OWN_NETWORK
        )
        assert done.returncode == 0, done.stderr
        self._client = httpx.Client(base_url=server.base_url, headers=server.headers, timeout=60)

    def make_video(self) -> None:
        body = {"model": "seedance-v1-pro", "prompt": "Clouds", "resolution": "480p"}
        assert self._client.post("/v2/videos/generations", json=body).status_code == 202

    def go_on(self) -> None:
        """A refusal, an image, and its download. What is counted for the first time shows no rate yet."""
        assert self._client.post("/v2/images/generations", json={"model": "none", "prompt": "A cat"}).is_client_error
        body = {"model": "seedream-5-lite", "prompt": "A cat", "resolution": "1K"}
        image = self._client.post("/v2/images/generations", json=body).json()
        assert self._client.get(image["data"][0]["url"]).status_code == 200


def test_a_demo_run_fills_every_panel(tmp_path: Path) -> None:
    """Each thing that a panel shows happens once: images, a video, a download, a refusal, a webhook."""
    app, metrics = web.Application(), f"127.0.0.1:{free_port()}"
    app.router.add_post("/hook", _take)
    server = Server(tmp_path / "data", env=OWN_NETWORK | {"SAFELIGHT_METRICS": metrics}).wait_until_ready()
    try:
        with prometheus(tmp_path, metrics) as address, hosted(app) as (port,):
            eventually(lambda: bool(values_of(address, "safelight_build_info")), "Prometheus has asked")
            site, empty = Site(server, f"http://127.0.0.1:{port}/hook"), set(EXPRESSIONS)
            site.make_video()

            def all_were_full() -> bool:
                site.go_on()
                empty.difference_update([name for name in empty if values_of(address, EXPRESSIONS[name])])
                return not empty

            try:
                eventually(all_were_full, "of each panel there is something to see")
            finally:
                assert not empty
            firing = values_of(address, 'ALERTS{alertstate="firing"}')
            assert not firing, firing
    finally:
        server.stop()
