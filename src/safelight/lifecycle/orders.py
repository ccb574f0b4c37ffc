"""An order that a backend is given: what is in it, and how it is traced, in one span to what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.media import Reference
from safelight.domain.outcomes import Failed, Handle, Unknown
from safelight.domain.ports import Local
from safelight.domain.request import Order
from safelight.domain.text import cut
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.targets import Target
from safelight.telemetry import spans, traces
from safelight.telemetry.names import RESPONSE_ID

T = TypeVar("T")


async def order_of(services: RunServices, claim: Claim) -> Order:
    """With its references' bytes. Raises ``FileNotFoundError`` where one is gone, and ``ServiceUnavailable``."""
    references = [
        Reference(role=kept.role, mime_type=kept.mime_type, data=await services.store.get(kept.key))
        for kept in claim.spec.references
    ]
    return Order(id=claim.id, type=claim.type, model=claim.model, spec=claim.spec, references=tuple(references))


async def traced(services: RunServices, claim: Claim, target: Target, work: Awaitable[T]) -> T:
    """What ``work`` comes to: giving ``target`` the order of a claim, or finding what became of it."""
    if not traces.is_on():
        return await work
    with spans.order(_order(services, claim, target)) as span:
        outcome = await work
        if isinstance(outcome, Failed):
            span.fail(outcome.reason.value)
        elif isinstance(outcome, Unknown):
            span.fail("unknown")
        return outcome


def note_handle(handle: Handle) -> None:
    """The backend calls the job of the order around the caller so."""
    id_ = handle.get("id")
    if isinstance(id_, str):
        traces.current().set(RESPONSE_ID, cut(id_))


def _order(services: RunServices, claim: Claim, target: Target) -> spans.Order:
    connection = services.catalog.connections.get(target.binding.connection)
    settings = None if connection is None else connection.settings
    return spans.Order(
        generation_id=claim.id,
        type=claim.type,
        kind=target.backend.kind,
        connection=target.binding.connection,
        upstream_model=target.binding.upstream_model,
        address=settings.base_url if isinstance(settings, HttpConnectionSettings) else None,
        is_local=isinstance(target.provider, Local),
        seed=claim.spec.seed,
        prompt=claim.spec.prompt,
    )
