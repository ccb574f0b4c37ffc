"""A service that traces to a collector: an API process and a worker, and what their spans tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web

from tests.durability.deployment import Model, catalog_text
from tests.support.hosting import hosted
from tests.support.postgres import TestDatabases
from tests.support.server import Server, eventually, open_folder
from tests.support.tenants import Tenant, make_tenant_at
from tests.telemetry.collector import Collector, Span, collecting

CANARY = "canary5e1f"
"""In a prompt, in the name of an end user, and in the address of a webhook: it must turn up in no span."""
CALLER = "0af7651916cd43dd8448eb211c80319c"
CALLER_SPAN = "b7ad6b7169203331"
MODELS = (
    Model("drawn", "image", ("builtin", {})),
    Model("still", "image", ("chaos", {"behaviour": "ok"})),
    Model("poll", "image", ("chaos", {"behaviour": "job", "job_seconds": 0.1, "poll_seconds": 0.05})),
    Model("refuses", "image", ("chaos", {"behaviour": "refused"})),
    Model("breaks", "image", ("chaos", {"behaviour": "unavailable", "times": 1, "retry_after_seconds": 0.0})),
    Model("hangs", "image", ("chaos", {"behaviour": "accept_then_hang", "answer_seconds": 60.0})),
    Model("clip", "video", ("chaos", {"behaviour": "job", "job_seconds": 0.1, "poll_seconds": 0.05})),
)


class Told(msgspec.Struct, frozen=True):
    """What a webhook was sent: its headers, in lower case, and its body."""

    headers: dict[str, str]
    body: dict[str, Any]


class Service(msgspec.Struct):
    """The service, its collector, and a workspace of it. ``told`` is what its webhooks were sent."""

    server: Server
    collector: Collector
    tenant: Tenant
    webhook_url: str
    told: list[Told]

    def post(self, model: str, *, kind: str = "image", headers: dict[str, str] | None = None, **fields: object) -> Any:
        body = {"model": model, "prompt": f"a hill, {CANARY}", **fields}
        url = f"{self.server.base_url}/v2/{kind}s/generations"
        return httpx.post(url, json=body, headers={**self.tenant.headers, **(headers or {})}, timeout=60)

    def trace_of_request(self, answer: httpx.Response) -> dict[str, Span]:
        """The spans of a request's trace, by name, once it has ended."""
        return self.collector.of(self.span_of_request(answer).trace_id)

    def span_of_request(self, answer: httpx.Response) -> Span:
        """The span of a request. It is the last of its trace, but for what comes later."""
        id_ = answer.headers["x-request-id"]
        eventually(lambda: bool(self.collector.all_with("safelight.request.id", id_)), "the span of a request")
        return self.collector.all_with("safelight.request.id", id_)[0]


@pytest.fixture(scope="module")
def service(databases: TestDatabases) -> Iterator[Service]:
    url, told = databases.create(), list[Told]()

    async def take(request: web.Request) -> web.Response:
        told.append(Told({name.lower(): value for name, value in request.headers.items()}, await request.json()))
        return web.Response(status=204)

    receiver = web.Application()
    receiver.router.add_post("/{path:.*}", take)
    with open_folder() as folder, collecting() as collector, hosted(receiver) as (port,):
        catalog = folder / "catalog.toml"
        catalog.write_text(catalog_text(MODELS, {}))
        settings = {
            "SAFELIGHT_DATABASE_URL": url,
            "SAFELIGHT_CATALOG": str(catalog),
            "SAFELIGHT_LOG_FORMAT": "json",
            "SAFELIGHT_PROVENANCE": "off",
            "SAFELIGHT_RENDER_PROCESSES": "1",
            "SAFELIGHT_REFERENCES_ALLOW": f"127.0.0.1:{port}",
        }
        server = Server(folder / "data", env={**settings, **collector.environment})
        try:
            server.wait_until_ready()
            tenant = make_tenant_at(url)
            yield Service(server, collector, tenant, f"http://127.0.0.1:{port}/{CANARY}", told)
        finally:
            server.kill_everything()


def test_an_image_is_one_trace(service: Service) -> None:
    answer = service.post("drawn")
    assert answer.status_code == 200, answer.text
    trace = service.trace_of_request(answer)
    assert trace.keys() == {
        "POST /v2/images/generations",
        "submit",
        "run",
        "generate_content drawn",
        "deliver",
        "settle",
    }
    request, run = trace["POST /v2/images/generations"], trace["run"]
    assert (request.kind, request.parent_id) == ("SERVER", "")
    assert request["http.request.method"] == "POST"
    assert request["http.route"] == request["url.path"] == "/v2/images/generations"
    assert request["http.response.status_code"] == 200
    assert (request["server.address"], request["server.port"]) == ("127.0.0.1", service.server.port)
    assert (request["url.scheme"], request["network.protocol.version"]) == ("http", "1.1")
    assert {trace[name].parent_id for name in ("submit", "run")} == {request.span_id}
    steps = [trace[name] for name in ("generate_content drawn", "deliver", "settle")]
    assert {step.parent_id for step in steps} == {run.span_id}
    assert [step.name for step in sorted(steps, key=lambda step: step.start)] == [step.name for step in steps]
    backend = steps[0]
    assert backend.kind == "INTERNAL", "it is drawn in this service"
    assert backend["gen_ai.operation.name"] == "generate_content"
    assert (backend["gen_ai.provider.name"], backend["gen_ai.request.model"]) == ("safelight.builtin", "drawn")
    assert backend["gen_ai.output.type"] == "image"
    id_ = answer.json()["id"]
    assert {span["safelight.generation.id"] for span in trace.values() if span is not request} == {id_}
    assert {request["safelight.workspace.id"], run["safelight.workspace.id"]} == {service.tenant.id}
    assert (run["safelight.outcome"], run["safelight.cost_nanos"]) == ("completed", 10_000_000)
    assert run.resource["service.name"] == "safelight"
    assert not any(span.is_error or span.links or span.events for span in trace.values())


def test_a_trace_of_the_client_s_is_gone_on_with(service: Service) -> None:
    sent = {"traceparent": f"00-{CALLER}-{CALLER_SPAN}-01", "tracestate": f"vendor={CANARY}", "baggage": f"a={CANARY}"}
    answer = service.post("still", headers=sent)
    trace = service.trace_of_request(answer)
    request = trace["POST /v2/images/generations"]
    assert (request.trace_id, request.parent_id) == (CALLER, CALLER_SPAN)
    assert trace["generate_content still"].kind == "CLIENT"
    not_kept = service.post("still", headers={"traceparent": f"00-{'1' * 32}-{CALLER_SPAN}-00"})
    broken = service.post("still", headers={"traceparent": f"00-{'0' * 32}-{CALLER_SPAN}-01"})
    assert service.trace_of_request(broken)["run"].trace_id != "0" * 32
    assert not service.collector.all_with("safelight.request.id", not_kept.headers["x-request-id"])


def test_a_video_is_two_traces_with_a_link_and_its_webhook_leads_to_it(service: Service) -> None:
    answer = service.post("clip", kind="video", duration=2, webhook_url=service.webhook_url)
    assert answer.status_code == 202, answer.text
    id_ = answer.json()["id"]
    service.collector.wait_for("webhook", safelight_generation_id=id_)
    run = service.collector.wait_for("run", safelight_generation_id=id_)
    asked, worked = service.trace_of_request(answer), service.collector.of(run.trace_id)
    assert asked.keys() == {"POST /v2/videos/generations", "submit", "webhook"}
    assert worked.keys() == {"run", "generate_content clip", "deliver", "settle"}
    submit = asked["submit"]
    assert (submit.kind, run.kind, run.parent_id) == ("PRODUCER", "CONSUMER", "")
    assert run.links == [(submit.trace_id, submit.span_id)]
    backend = worked["generate_content clip"]
    assert (backend.kind, backend["gen_ai.output.type"], backend["gen_ai.provider.name"]) == (
        "CLIENT",
        "video",
        "chaos",
    )
    assert backend["gen_ai.response.id"], "the job that it was asked about"
    assert {worked[name].parent_id for name in worked if name != "run"} == {run.span_id}
    webhook = asked["webhook"]
    (told,) = [each for each in service.told if each.body["data"]["id"] == id_]
    assert told.headers["traceparent"][:-2] == f"00-{webhook.trace_id}-{webhook.span_id}-"
    assert (webhook.kind, webhook.parent_id) == ("CLIENT", submit.span_id)
    assert (webhook["http.response.status_code"], webhook["safelight.attempt"]) == (204, 1)


def test_a_failed_one_tells_why(service: Service) -> None:
    answer = service.post("refuses")
    assert answer.status_code == 422, answer.text
    trace = service.trace_of_request(answer)
    backend, run = trace["generate_content refuses"], trace["run"]
    assert (backend["error.type"], backend.is_error) == ("content_policy", True)
    assert (run["error.type"], run["safelight.outcome"], run["safelight.cost_nanos"]) == (
        "content_policy_violation",
        "failed",
        0,
    )
    request = trace["POST /v2/images/generations"]
    assert (request["http.response.status_code"], request.is_error) == (422, False)
    assert "deliver" not in trace


def test_each_order_is_a_span(service: Service) -> None:
    answer = service.post("breaks")
    assert answer.status_code == 200, answer.text
    trace_id = service.span_of_request(answer).trace_id
    orders = [s for s in service.collector.spans if (s.trace_id, s.name) == (trace_id, "generate_content breaks")]
    assert [order.attributes.get("error.type") for order in orders] == ["transient", None]


def test_a_refused_request_is_a_span_and_no_error(service: Service) -> None:
    unknown, nowhere = service.post("nothing"), httpx.get(f"{service.server.base_url}/v2/{'x' * 100}")
    trace = service.trace_of_request(unknown)
    assert trace["submit"]["error.type"] == unknown.json()["error"]["code"]
    assert not any(span.is_error for span in trace.values())
    (span,) = service.trace_of_request(nowhere).values()
    assert (span.name, "http.route" in span.attributes, span["http.response.status_code"]) == ("GET", False, 404)


def test_a_download_is_a_span_without_its_signature(service: Service) -> None:
    link = service.post("still").json()["data"][0]["url"]
    answer = httpx.get(link)
    assert answer.status_code == 200
    (span,) = service.trace_of_request(answer).values()
    assert span.name == "GET /v2/downloads/{id}/{index}"
    assert span["http.route"] == "/v2/downloads/{id}/{index}"
    assert span["url.path"] == httpx.URL(link).path
    page = httpx.get(f"{service.server.base_url}/dashboard/nowhere")
    assert service.trace_of_request(page)


def test_health_is_not_traced(service: Service) -> None:
    httpx.get(f"{service.server.base_url}/healthz")
    answer = service.post("still")
    service.trace_of_request(answer)
    assert not service.collector.all_with("url.path", "/healthz")


def test_log_lines_name_the_trace_and_the_span(service: Service) -> None:
    answer = service.post("refuses")
    trace = service.trace_of_request(answer)
    lines = [json.loads(line) for line in service.server.log.splitlines() if line.startswith("{")]
    request = trace["POST /v2/images/generations"]
    (access,) = [line for line in lines if line.get("id") == answer.headers["x-request-id"]]
    assert (access["trace_id"], access["span_id"]) == (request.trace_id, request.span_id)
    (failed,) = [
        line for line in lines if line["event"] == "generation failed" and line["trace_id"] == request.trace_id
    ]
    assert failed["span_id"] == trace["run"].span_id
    assert any("trace_id" not in line for line in lines), "what belongs to no request names none"


def test_no_span_is_an_orphan_and_none_tells_a_secret(service: Service) -> None:
    """Looks at all that came before."""
    link = service.post("still", headers={"x-stainless-retry-count": "0"}, user=f"{CANARY}").json()
    collector = service.collector
    collector.no_orphans(but=CALLER_SPAN)
    sent = b"".join(collector.bodies)
    signature = httpx.URL(link["data"][0]["url"]).params["sig"] if "data" in link else "sig="
    for secret in (CANARY, service.tenant.key, signature, "sig=", "Bearer"):
        assert secret.encode() not in sent
    assert len(collector.spans) > 30


def test_what_was_sent_stays_when_the_process_is_killed(service: Service) -> None:
    """The last test of the service: it ends by it."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(service.post, "hangs")
        submit = service.collector.wait_for("submit", safelight_model="hangs")
        before = list(service.collector.spans)
        service.server.kill_everything()
        with pytest.raises(httpx.HTTPError):
            waiting.result()
    assert service.collector.of(submit.trace_id).keys() == {"submit"}, "the rest was not over"
    assert service.collector.spans[: len(before)] == before
