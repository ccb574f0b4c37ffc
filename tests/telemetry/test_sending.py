"""What makes spans and sends them: what the environment says counts, and a collector costs nobody anything."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes, url_attributes

from safelight.domain.errors import ConfigurationError, NotFound, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.node.settings import Settings
from safelight.telemetry import exporting, names, spans, traces
from safelight.telemetry.logs import configure_logging
from tests.support.hosting import hosted
from tests.support.server import eventually, free_port
from tests.telemetry.collector import Collector, collecting

PAGE = Path(__file__).parents[2] / "docs" / "tracing.md"
SENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
ORDER = spans.Order(
    generation_id="req-1",
    type=GenerationType.VIDEO,
    kind="google",
    connection="vertex",
    upstream_model="veo",
    address="https://user:secret@europe-aiplatform.googleapis.com/v1",
    is_local=False,
    seed=7,
    prompt="a hill",
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """The environment names the collector. Batches are sent at the end alone."""
    _set(monkeypatch, {**collector.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"})
    return collector


def _set(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


async def test_what_waits_is_sent_at_the_end(traced: Collector) -> None:
    async with exporting.tracing(tells_prompt=False, flush_seconds=30):
        with traces.span("outer", {"a": 1, "none": None}) as outer, traces.span("inner"):
            outer.set("later", "b")
        with traces.span("other", link=SENT, is_root=True):
            pass
        assert traced.spans == []
    inner, outer_span, other = traced.spans
    assert (inner.name, inner.parent_id, outer_span.parent_id) == ("inner", outer_span.span_id, "")
    assert outer_span.attributes == {"a": 1, "later": "b"}
    assert other.links == [("ab" * 16, "cd" * 8)] and other.trace_id != inner.trace_id
    assert traces.span("over") is traces.UNTRACED


async def test_variables_of_the_sdk_count(traced: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "OTEL_SERVICE_NAME": "pictures",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.version=7",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=mine",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    _set(monkeypatch, variables)
    async with exporting.tracing(tells_prompt=False, flush_seconds=30):
        with traces.span("one"):
            pass
    (span,) = traced.spans
    assert (span.resource["service.name"], span.resource["service.version"]) == ("pictures", "7")
    assert span.resource["deployment.environment.name"] == "test"
    assert traced.headers[0]["x-tenant"] == "mine"


@pytest.mark.parametrize(("kept", "sampler"), [("01", "always_off"), ("00", "always_on")])
async def test_what_goes_on_later_is_kept_if_its_beginning_is(
    traced: Collector, monkeypatch: pytest.MonkeyPatch, kept: str, sampler: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with exporting.tracing(tells_prompt=False, flush_seconds=30):
        with traces.span("beginning") as beginning:
            beginning.set("a", 1)
        with traces.span("later", link=SENT[:-2] + kept), traces.span("below"):
            pass
    assert [span.name for span in traced.spans] == (["below", "later"] if kept == "01" else ["beginning"])


async def test_an_error_is_told_by_a_word_and_never_by_its_message(traced: Collector) -> None:
    async with exporting.tracing(tells_prompt=False, flush_seconds=30):
        for error in (ValueError("sk_secret"), ServiceUnavailable("sk_secret"), NotFound("sk_secret")):
            with pytest.raises(type(error)), traces.span(type(error).__name__):
                raise error
    told = {span.name: (span["error.type"], span.is_error) for span in traced.spans}
    assert told == {
        "ValueError": ("ValueError", True),
        "ServiceUnavailable": ("service_unavailable", True),
        "NotFound": ("not_found", False),
    }
    assert b"secret" not in b"".join(traced.bodies)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_prompt_is_told_where_it_is_asked_for(traced: Collector, asked: bool) -> None:
    async with exporting.tracing(tells_prompt=asked, flush_seconds=30):
        with spans.order(ORDER):
            pass
    (span,) = traced.spans
    assert (span.name, span.kind) == ("generate_content veo", "CLIENT")
    assert (span["gen_ai.provider.name"], span["gen_ai.output.type"]) == ("gcp.gen_ai", "video")
    assert (span["server.address"], span["server.port"]) == ("europe-aiplatform.googleapis.com", 443)
    assert b"secret" not in b"".join(traced.bodies)
    messages = span.attributes.get("gen_ai.input.messages")
    if asked:
        assert json.loads(messages) == [{"role": "user", "parts": [{"type": "text", "content": "a hill"}]}]
    else:
        assert messages is None and b"a hill" not in b"".join(traced.bodies)


async def _stall(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


class _Endless:
    """Answers without an end. ``given_up``: its client has left."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()
        self.sent = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(bytes(65536))
                self.sent += 65536
        except OSError:
            self.given_up.set()
            raise


@pytest.mark.parametrize("collector_is", ["away", "silent"])
async def test_a_collector_that_takes_nothing_holds_nobody_up(
    collector_is: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = web.Application()
    silent.router.add_post("/v1/traces", _stall)
    with hosted(silent) as (port,):
        port = free_port() if collector_is == "away" else port
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "10"}
        endpoint["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] = "1"  # second, for each of what would be forty
        _set(monkeypatch, {**endpoint, "OTEL_BSP_MAX_QUEUE_SIZE": "80", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"})
        with _logging():
            async with asyncio.timeout(30):  # the SDK would wait for as long by itself
                async with exporting.tracing(tells_prompt=False, flush_seconds=0.05):
                    for _ in range(200):
                        with traces.span("one"):
                            await asyncio.sleep(0)
                    eventually(lambda: "opentelemetry" in capsys.readouterr().err, "a line of it")
                    await asyncio.sleep(0.2)
            assert "opentelemetry" not in capsys.readouterr().err, "one line a minute"


async def test_of_an_answer_without_end_little_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    endless, elsewhere = _Endless(), []

    async def note(request: web.Request) -> web.Response:
        elsewhere.append(request.path)
        return web.Response()

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    app = web.Application()
    app.router.add_post("/endless/v1/traces", endless.take)
    app.router.add_post("/redirect/v1/traces", redirect)
    app.router.add_post("/elsewhere", note)
    with hosted(app) as (port,):
        for path in ("endless", "redirect"):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}/{path}")
            async with exporting.tracing(tells_prompt=False, flush_seconds=30):
                with traces.span("one"):
                    pass
        eventually(endless.given_up.is_set, "it is left")
    assert elsewhere == []


class _logging:
    """The logs as a service writes them, until the end of the ``with``."""

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        configure_logging(Settings())

    def __exit__(self, *_: Any) -> None:
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({}, "off"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "http://collector:4318"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://user:pw@c.example/x?k=1"}, "https://c.example"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}, "off"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, "off"),
    ],
)
def test_the_environment_asks_for_traces(environment: dict[str, str], where: str) -> None:
    assert exporting.check(environment) == where


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:port"}, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "by http/protobuf alone. Set it to that",
        ),
    ],
)
def test_what_cannot_work_is_told_at_the_start(environment: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        exporting.check(environment)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "max_queue_size"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "schedule_delay"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
    ],
)
async def test_what_the_sdk_does_not_take_is_a_line(
    variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"OTEL_.*{told}.*Correct it"):
        async with exporting.tracing(tells_prompt=False, flush_seconds=1):
            pass


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter"])
def test_without_the_extra_one_line_names_it(missing: str) -> None:
    """With the extra ``mcp`` the API is there, and the exporter is not."""
    code = (
        "import sys; sys.modules[sys.argv[1]] = None; from safelight.telemetry import exporting\n"
        "try: exporting.check({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://c:4318'})\n"
        "except Exception as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code, missing], capture_output=True, text=True, check=True).stdout
    assert said.count("\n") == 1 and "pip install 'safelight[otel]'" in said


def test_nothing_of_it_is_imported_unless_it_is_asked_for() -> None:
    code = "import sys, safelight.wiring, safelight.cli.serve; print([m for m in sys.modules if 'opentelemetry' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_has_every_name() -> None:
    told = set(re.findall(r"`([a-z_.]+)`", PAGE.read_text()))
    ours = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    assert ours - told == {names.OTHER}
    assert {name for name in told if name.startswith(("safelight.", "gen_ai.", "http.", "url."))} - ours == {
        "safelight.toml"
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (names.HTTP_METHOD, http_attributes.HTTP_REQUEST_METHOD),
        (names.HTTP_METHOD_ORIGINAL, http_attributes.HTTP_REQUEST_METHOD_ORIGINAL),
        (names.HTTP_STATUS, http_attributes.HTTP_RESPONSE_STATUS_CODE),
        (names.HTTP_ROUTE, http_attributes.HTTP_ROUTE),
        (names.OTHER, http_attributes.HttpRequestMethodValues.OTHER.value),
        (names.URL_PATH, url_attributes.URL_PATH),
        (names.URL_SCHEME, url_attributes.URL_SCHEME),
        (names.SERVER_ADDRESS, server_attributes.SERVER_ADDRESS),
        (names.SERVER_PORT, server_attributes.SERVER_PORT),
        (names.ERROR_TYPE, error_attributes.ERROR_TYPE),
        (names.OPERATION, gen_ai_attributes.GEN_AI_OPERATION_NAME),
        (names.GENERATE_CONTENT, gen_ai_attributes.GenAiOperationNameValues.GENERATE_CONTENT.value),
        (names.PROVIDER, gen_ai_attributes.GEN_AI_PROVIDER_NAME),
        (names.REQUEST_MODEL, gen_ai_attributes.GEN_AI_REQUEST_MODEL),
        (names.REQUEST_SEED, gen_ai_attributes.GEN_AI_REQUEST_SEED),
        (names.OUTPUT_TYPE, gen_ai_attributes.GEN_AI_OUTPUT_TYPE),
        (names.RESPONSE_ID, gen_ai_attributes.GEN_AI_RESPONSE_ID),
        (names.INPUT_MESSAGES, gen_ai_attributes.GEN_AI_INPUT_MESSAGES),
        (names.PROVIDER_OF_KIND["google"], gen_ai_attributes.GenAiProviderNameValues.GCP_GEN_AI.value),
    ],
)
def test_names_are_those_of_the_conventions(ours: str, theirs: str) -> None:
    assert ours == theirs
