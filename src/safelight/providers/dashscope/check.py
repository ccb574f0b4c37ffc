"""A look at a live API: does it take the key, does it list the model, can it be told what the catalog offers.

Nothing is ordered. The list of models is asked for as the official client does; that it has each model is not certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safelight.domain.catalog import Binding, Model
from safelight.domain.outcomes import Finding
from safelight.outbound.backend_api import BackendApi, Exchange, Reply, remedy_of
from safelight.outbound.loose_json import at, objects_in
from safelight.providers.dashscope.answers import answer_of, is_error
from safelight.providers.dashscope.orders import troubles

_SECONDS = 5.0
_MAX_BYTES = 4 * 1024 * 1024


async def look(api: BackendApi, model: Model, binding: Binding) -> Sequence[Finding]:
    asked = {"model": binding.upstream_model, "page_no": "1", "page_size": "1"}
    exchange = await api.call("GET", "/models", query=asked, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES)
    return [
        *_of_connection(api, exchange),
        *_of_list(exchange, binding),
        *(
            Finding.problem(option, why, "Correct the binding or the model.")
            for option, why in troubles(model, binding)
        ),
    ]


def _of_connection(api: BackendApi, exchange: Exchange) -> Iterator[Finding]:
    if not isinstance(exchange, Reply):
        remedy = remedy_of(exchange, "Correct base_url, or see whether this machine reaches it.")
        yield Finding.problem("connection", f"{api.base_url} does not answer: {exchange.detail}", remedy)
        return
    said = answer_of(exchange)
    words = ": ".join(filter(None, (f"HTTP {exchange.status}", said.code)))
    if exchange.status in (401, 403):
        yield Finding.problem(
            "key", f"the key is not taken ({words})", "A key is of one region: see base_url, and workspace."
        )
    elif exchange.status == 429:
        yield Finding.warning("key", f"it asks to be left alone ({words})", "Look at the account's limits and credit.")
    elif exchange.is_ok and not is_error(exchange):
        yield Finding.ok("connection", f"{api.base_url} answers, and takes the key")
    else:
        remedy = "If orders come to nothing, correct base_url, which ends in /api/v1."
        yield Finding.warning("connection", f"it is there, and does not list models ({words})", remedy)


def _of_list(exchange: Exchange, binding: Binding) -> Iterator[Finding]:
    if not isinstance(exchange, Reply) or not exchange.is_ok or is_error(exchange):
        return
    listed = at(exchange.json(), "output", "models")
    if not isinstance(listed, list):
        text = "what answers is no such API: its list of models is none"
        yield Finding.problem("connection", text, "Correct base_url: it ends in /api/v1.")
        return
    names = [entry.get(name) for entry in objects_in(listed) for name in ("model", "model_name", "name")]
    if binding.upstream_model in names:
        yield Finding.ok("model", f"it lists {binding.upstream_model}")
        return
    remedy = "Compare the binding's model with the vendor's page of models, and its region with base_url."
    yield Finding.warning("model", f"its list does not tell of {binding.upstream_model}", remedy)
