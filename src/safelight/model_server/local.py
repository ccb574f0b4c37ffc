"""A Ray of one's own, for as long as the command runs; or a cluster's, on which the application is put for as long."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import LoggingConfig

from safelight.domain.errors import ConfigurationError
from safelight.domain.pipelines import Pipeline
from safelight.model_server.application import build
from safelight.model_server.serving import states_of
from safelight.model_server.work import PipelineState

APPLICATION = "safelight-models"
_STORE_BYTES = 256 * 1024 * 1024
"""For what goes from process to process: files of up to some ten megabytes, for moments."""
_LOOK_SECONDS = 1.0
_LOOPBACK = "127.0.0.2"  # of 127.0.0.1 Ray makes the machine's address in its network


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where HTTP is served. ``address``: the Ray that it is deployed on; None: one of our own."""

    host: str
    port: int
    address: str | None


def run(
    pipelines: Sequence[Pipeline],
    args: dict[str, Any],
    listens: Listening,
    *,
    stop: threading.Event,
    heed_signals: Callable[[], None],
    tell: Callable[[str, PipelineState], None],
) -> None:
    """Serve until ``stop`` is set, by what ``heed_signals`` installs; then nothing is left running.

    ``tell`` is called with each pipeline whose state changed. ``args`` are those of ``application.build``. Before this
    module is imported there is ``environment.prepare``. Raises ``ConfigurationError``.
    """
    folder = tempfile.mkdtemp(prefix="sl-ray-", dir=_short_folder())
    try:
        address = listens.address
        _start(folder, pipelines, address)
        heed_signals()  # Ray has put its own in their place
        try:
            where = ProxyLocation.HeadOnly if address is None else ProxyLocation.EveryNode
            serve.start(
                proxy_location=where,
                http_options=HTTPOptions(host=listens.host, port=listens.port),
                logging_config=_quietly(),
            )
            target = serve.RunTarget(build(args), APPLICATION, "/", _quietly())
            serve.run_many([target], wait_for_applications_running=False)
            _watch(pipelines, stop, tell)
        finally:
            if address is not None:
                serve.delete(APPLICATION)
            ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: str, pipelines: Sequence[Pipeline], address: str | None) -> None:
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False, "namespace": APPLICATION}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError) as error:
            raise ConfigurationError(
                f"Ray at {address} does not answer: {error}. Correct --address, or set RAY_AUTH_MODE to token if that "
                "Ray asks for one."
            ) from None
        return
    files = Path(folder, "files")
    files.mkdir()
    os.environ["TMPDIR"] = str(files)  # what replicas leave behind goes with the rest
    needed = sum(pipeline.cpus * pipeline.most_replicas for pipeline in pipelines)
    ray.init(
        address="local",
        # Processors are shared by the system anyway; what Ray counts is to leave room for every replica.
        num_cpus=max(os.cpu_count() or 1, int(needed) + 1),
        include_dashboard=False,
        object_store_memory=_STORE_BYTES,
        _node_ip_address=_LOOPBACK,
        _temp_dir=folder,
        **quiet,
    )
    has, wanted = ray.cluster_resources().get("GPU", 0), sum(p.gpus * p.least_replicas for p in pipelines)
    if wanted > has:
        raise ConfigurationError(
            f"The pipelines want {wanted:g} graphics cards, and this machine has {has:g}. Set gpus to less, or to 0 "
            "for the processor; or let fewer replicas run."
        )


def _watch(pipelines: Sequence[Pipeline], stop: threading.Event, tell: Callable[[str, PipelineState], None]) -> None:
    told: dict[str, tuple[str, str | None]] = {}
    while not stop.wait(_LOOK_SECONDS):
        states = states_of(pipelines, serve.status().applications.get(APPLICATION), {})
        for name, state in states.items():
            if told.get(name) != (state.state, state.trouble):
                told[name] = (state.state, state.trouble)
                tell(name, state)


def _quietly() -> LoggingConfig:
    return LoggingConfig(log_level="WARNING", enable_access_log=False)


def _short_folder() -> str | None:
    """Ray's sockets have paths of 107 letters at most, of which it makes 60 itself."""
    return None if len(tempfile.gettempdir()) <= 20 else str(Path("/tmp"))  # noqa: S108
