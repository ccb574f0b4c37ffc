"""The deployments of Ray Serve: one for each pipeline, and the ingress in front of them, which has the orders."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException
from ray.serve.schema import ApplicationStatusOverview
from starlette.applications import Starlette

from safelight.domain.connections import Secret
from safelight.domain.pipelines import Pipeline
from safelight.model_server.app import make_app
from safelight.model_server.work import (
    REPLICA_LOST,
    Event,
    Facts,
    Made,
    NotMade,
    PipelineState,
    Work,
)
from safelight.node.secrets import read_secret

log = structlog.get_logger()

INGRESS = "ingress"
_MOST_ORDERS = 10_000
_LOAD_TRIES = 3
_LAST_JOB_SECONDS = 900.0
"""How long a replica that is to go may take for what it has begun."""
_STATES_SECONDS = 1.0
_TROUBLE = ("[[", "]]")
"""What a replica's reason is put between, to be found in what Serve says of a deployment that does not start."""
_MOST_TROUBLE = 600


class Replica:
    """A loaded pipeline. What it loads with is imported where it runs."""

    def __init__(self, pipeline: Pipeline, catalog_dir: str) -> None:
        from safelight.model_server.loading import CannotLoad
        from safelight.model_server.replica import PipelineReplica

        try:
            self._replica = PipelineReplica(pipeline, catalog_dir)
        except CannotLoad as error:
            raise RuntimeError(f"{_TROUBLE[0]}{error}{_TROUBLE[1]}") from None

    def facts(self) -> Facts:
        return self._replica.facts()

    async def run(self, work: Work) -> AsyncGenerator[Event]:
        events = self._replica.run(work)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()


class RayRunner:
    """``Runner`` over the deployments of one application."""

    def __init__(self, pipelines: Sequence[Pipeline], handles: Sequence[Any]) -> None:
        self.pipelines = pipelines
        self._handles = {pipeline.name: handle for pipeline, handle in zip(pipelines, handles, strict=True)}
        self._facts: dict[str, Facts] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, PipelineState] = {}
        self._asked_at = -_STATES_SECONDS
        self._lock = asyncio.Lock()

    async def states(self) -> dict[str, PipelineState]:
        async with self._lock:
            if time.monotonic() - self._asked_at >= _STATES_SECONDS:
                name = serve.get_replica_context().app_name
                status = await asyncio.to_thread(serve.status)
                self._states = states_of(self.pipelines, status.applications.get(name), self._facts)
                self._asked_at = time.monotonic()
                self._ask_for_facts()
        return self._states

    async def run(self, pipeline: str, work: Work) -> AsyncGenerator[Event]:
        response = self._handles[pipeline].run.options(stream=True).remote(work)
        try:
            async for event in response:
                yield event
                if isinstance(event, Made | NotMade):
                    return
            yield NotMade(REPLICA_LOST)
        except DeploymentUnavailableError:
            yield NotMade(REPLICA_LOST)
        except (RayError, RayServeException) as error:
            log.warning("a replica was lost", pipeline=pipeline, reason=type(error).__name__)
            yield NotMade(REPLICA_LOST)
        finally:
            response.cancel()

    def _ask_for_facts(self) -> None:
        """Of those that run and have not told them yet. One that is busy tells them when it is free."""
        for name, state in self._states.items():
            task = self._asking.get(name)
            if state.state == "ready" and state.facts is None and (task is None or task.done()):
                self._asking[name] = asyncio.create_task(self._learn(name))

    async def _learn(self, name: str) -> None:
        with suppress(RayError, RayServeException):
            self._facts[name] = await self._handles[name].facts.remote()
            self._asked_at = -_STATES_SECONDS


class Ingress:
    """The HTTP API, in one replica: it has the orders."""

    def __init__(self, pipelines: Sequence[Pipeline], key: Secret | None, *handles: Any) -> None:
        self._runner = RayRunner(pipelines, handles)
        self._key = None if key is None else read_secret(key)

    def __serve_build_asgi_app__(self) -> Starlette:
        return make_app(self._runner, self._key)


def deployed(pipelines: Sequence[Pipeline], catalog_dir: Path, key: Secret | None) -> serve.Application:
    """The application: what ``serve run`` and RayService deploy."""
    bound = [
        serve.deployment(
            Replica,
            name=deployment_name(place, pipeline),
            ray_actor_options={"num_cpus": pipeline.cpus, "num_gpus": pipeline.gpus},
            max_ongoing_requests=1,
            max_constructor_retry_count=_LOAD_TRIES,
            graceful_shutdown_timeout_s=_LAST_JOB_SECONDS,
            **_scale(pipeline),
        ).bind(pipeline, str(catalog_dir))
        for place, pipeline in enumerate(pipelines)
    ]
    ingress = serve.deployment(
        serve.ingress()(Ingress),
        name=INGRESS,
        num_replicas=1,
        max_ongoing_requests=_MOST_ORDERS,
        ray_actor_options={"num_cpus": 0},
    )
    application: serve.Application = ingress.bind(pipelines, key, *bound)
    return application


def deployment_name(place: int, pipeline: Pipeline) -> str:
    return f"{place}-{re.sub('[^A-Za-z0-9._-]', '-', pipeline.name)}"


def states_of(
    pipelines: Sequence[Pipeline], application: ApplicationStatusOverview | None, facts: dict[str, Facts]
) -> dict[str, PipelineState]:
    """How each pipeline stands, by what Serve says of its deployment."""
    deployments = {} if application is None else application.deployments
    return {
        pipeline.name: _state(deployments.get(deployment_name(place, pipeline)), facts.get(pipeline.name))
        for place, pipeline in enumerate(pipelines)
    }


def _state(deployment: Any, facts: Facts | None) -> PipelineState:
    if deployment is None:
        return PipelineState(state="starting")
    begin, end = (deployment.message.rfind(mark) for mark in _TROUBLE)
    trouble = deployment.message[begin + len(_TROUBLE[0]) : end] if 0 <= begin < end else None
    if deployment.replica_states.get("RUNNING", 0) or deployment.status in ("HEALTHY", "DOWNSCALING"):
        return PipelineState(state="ready", facts=facts, trouble=trouble)
    if deployment.status in ("DEPLOY_FAILED", "UNHEALTHY"):
        return PipelineState(state="failed", facts=facts, trouble=trouble or _last_line(deployment.message))
    return PipelineState(state="starting", facts=facts, trouble=trouble)


def _last_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1][:_MOST_TROUBLE] if lines else "Serve does not say why"


def _scale(pipeline: Pipeline) -> dict[str, Any]:
    if pipeline.max_replicas is None:
        return {"num_replicas": pipeline.replicas or 1}
    bounds = {"min_replicas": pipeline.least_replicas, "max_replicas": pipeline.max_replicas}
    return {"autoscaling_config": {**bounds, "target_ongoing_requests": 1}}
