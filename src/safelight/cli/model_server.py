"""``safelight model-server``: pipelines of diffusers on Ray Serve, from the catalog's ``[[pipelines]]``."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import Parameter

from safelight.cli.numbers import whole
from safelight.cli.tcp_port import check_port
from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.text import printable
from safelight.model_server.application import NEEDS, pipelines_in
from safelight.model_server.environment import prepare
from safelight.model_server.weights import check_folder, folder_of
from safelight.model_server.work import PipelineState
from safelight.node.hosts import read_host
from safelight.node.secrets import read_secret
from safelight.node.settings import Settings


def model_server(
    *,
    catalog: Annotated[Path, Parameter(help="The catalog whose [[pipelines]] are deployed.")],
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 takes a free one."), whole(0, 65535)] = 8001,
    address: Annotated[str | None, Parameter(help="A running Ray to deploy on. Without it: one is started.")] = None,
    key: Annotated[
        str | None,
        Parameter(help="What callers have to show as a bearer: env:NAME or file:PATH. Without it: loopback only."),
    ] = None,
) -> int:
    """Deploy the catalog's pipelines on Ray Serve."""
    host = read_host(host, "--host")
    secret = _secret(key)
    if secret is None and not _is_loopback(host):
        raise ConfigurationError(
            f"{host} is reached from elsewhere, and whoever reaches it could order. Give a --key, or listen on "
            "127.0.0.1."
        )
    pipelines = pipelines_in(catalog)
    if missing := [module for module in NEEDS if importlib.util.find_spec(module) is None]:
        raise ConfigurationError(f"The model server needs {', '.join(missing)}. Run: pip install 'safelight[ray]'.")
    if address is None:
        for folder in filter(None, (folder_of(pipeline, catalog.absolute().parent) for pipeline in pipelines)):
            check_folder(folder)
        port = check_port(Settings(host=host, port=port))
    stop = threading.Event()
    shown = f"[{host}]" if ":" in host else host
    print(f"The model server starts on http://{shown}:{port}. GET /health tells how it stands.", flush=True)

    def tell(name: str, state: PipelineState) -> None:
        trouble = f": {printable(state.trouble)}" if state.trouble else ""
        print(f"{name} is {state.state}{trouble}", file=sys.stderr if trouble else sys.stdout, flush=True)

    args: dict[str, Any] = {"catalog": str(catalog.absolute())}
    args |= {"open": True} if secret is None else {"key": secret.reference}
    prepare(own_cluster=address is None)
    # It brings what the extra has, and takes a second.
    from safelight.model_server.local import Listening, run

    _heed_signals(stop)
    listens = Listening(host=host, port=port, address=address)
    run(pipelines, args, listens, stop=stop, heed_signals=lambda: _heed_signals(stop), tell=tell)
    return 0


def _secret(reference: str | None) -> Secret | None:
    """The key's reference, if there is something behind it. Raises ``ConfigurationError``."""
    if reference is None:
        return None
    try:
        secret = Secret(reference)
    except ValueError as error:
        raise ConfigurationError(f"--key: {error}.") from None
    read_secret(secret)
    return secret


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _heed_signals(stop: threading.Event) -> None:
    """The first SIGINT or SIGTERM asks to stop; one more ends at once."""

    def leave(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
