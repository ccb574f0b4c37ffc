"""Orders, polls, finds and cancels at the hosted API, or at another Safelight.

The hosted API is sent what its contract knows and nothing else. An order to it whose answer is lost cannot be looked
for. A Safelight takes an idempotency key with each order and tells what became of it by that key, stops videos, and
calls back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Binding, Model
from safelight.domain.connections import HttpConnectionSettings, Secret
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Finding,
    FindOutcome,
    Found,
    Handle,
    NeverTaken,
    Pending,
    PollOutcome,
    Stage,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Callback, Host, Job, Provider, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import DEADLINE_SECONDS, BackendApi, NoReply, NotSent, Reply, failure_of, not_told
from safelight.providers.getimg.check import findings_of
from safelight.providers.getimg.contract import FIELDS, Generation, Told, answer_of, error_in, failed, read

_PATHS = {GenerationType.IMAGE: "/v2/images/generations", GenerationType.VIDEO: "/v2/videos/generations"}
_IMAGE_SECONDS = 900.0
"""An image's answer comes when it is made; its deadline here is mostly sooner."""
_LATE_SECONDS = 3.0
"""How much later than its sender's end an order may still be put on record."""
_KEYS_LAST = timedelta(hours=20)
"""A Safelight remembers idempotency keys for a day."""


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told.

    ``flavor``: the hosted API, or a Safelight. ``references``: whether reference images go along with an order, or are
    fetched here by a link. For a Safelight alone: ``callbacks``, whether it is asked to tell when something ended, and
    ``retention_seconds``, how long it keeps what it made.
    """

    key: Secret
    flavor: Literal["hosted", "safelight"] = "hosted"
    references: Literal["inline", "link"] = "inline"
    callbacks: bool = False
    retention_seconds: Annotated[int, Meta(ge=60)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flavor == "hosted" and (self.callbacks or self.retention_seconds is not None):
            raise ValueError('callbacks and retention_seconds are for flavor = "safelight": the hosted API has neither')


class _Event(msgspec.Struct, frozen=True):
    type: str


class _Listed(msgspec.Struct, frozen=True):
    id: str


class _Listing(msgspec.Struct, frozen=True):
    data: tuple[_Listed, ...]


class _WhatBecame(msgspec.Struct, frozen=True):
    cancellation: str


class HostedProvider:
    """The hosted API."""

    is_safelight = False

    def __init__(self, settings: Settings, key: str) -> None:
        self._settings = settings
        self._api = BackendApi(settings, {"Authorization": f"Bearer {key}"})
        self._absences = Absences()

    async def submit(self, order: Order, job: Job[Any]) -> SubmitOutcome:
        size = _size(order, job)
        if size is None:
            return Failed(FailureClass.PERMANENT, f"the size word {job.size_word!r} is not written as '2K 16:9'")
        body = {**self._body(order, job, *size), **self._more(order, job)}
        if order.spec.seed is not None and "seed" not in body:
            return Failed(FailureClass.PERMANENT, "the hosted API takes no seed, and the catalog says that it does")
        if order.spec.negative_prompt is not None and "negative_prompt" not in body:
            return Failed(FailureClass.PERMANENT, "the hosted API takes no negative prompt; the catalog says it does")
        reply = await self._api.call(
            "POST",
            _PATHS[order.type],
            json=body,
            headers=self._headers(job),
            deadline_seconds=_IMAGE_SECONDS if order.type is GenerationType.IMAGE else DEADLINE_SECONDS,
        )
        match reply:
            case NotSent():
                return reply.failed()
            case NoReply():
                return await self._without_answer(job, reply.unknown())
            case Reply() if reply.is_ok:
                return self._taken(reply)
            case Reply():
                return await self._declined(reply, job)

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
        reply = await self._api.call("GET", f"{_PATHS[job.type]}/{quote(handle['id'], safe='')}")
        if not isinstance(reply, Reply):
            return Unknown(reply.detail)
        if not reply.is_ok:
            return self._not_told(reply, job)
        self._absences.forget(job.id)
        generation = read(reply, Generation)
        if generation is None:
            return Unknown("the answer is not the contract's", reply.answer())
        return self._ended(generation, reply) or self._pending(reply)

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await findings_of(self._api, model, binding, is_safelight=self.is_safelight)

    async def close(self) -> None:
        await self._api.close()

    def _body(self, order: Order, job: Job[Any], resolution: str, aspect_ratio: str) -> dict[str, Any]:
        spec = order.spec
        body: dict[str, Any] = {
            "model": job.upstream_model,
            "prompt": spec.prompt,
            "aspect_ratio": aspect_ratio,
            "resolution": resolution,
            "output_format": spec.output_format,
            "duration": spec.duration_seconds,
            "sound": spec.sound,
        }
        if order.references:
            body["images"] = self._images(order, job)
        return {name: value for name, value in body.items() if value is not None}

    def _images(self, order: Order, job: Job[Any]) -> list[dict[str, str]]:
        """Each by its own bytes or by a link; only those of videos have roles."""
        is_linked, has_roles = self._settings.references == "link", order.type is GenerationType.VIDEO
        return [
            {
                "url": job.reference_url(index) if is_linked else reference.data_url(),
                **({"role": reference.role} if has_roles else {}),
            }
            for index, reference in enumerate(order.references)
        ]

    def _more(self, order: Order, job: Job[Any]) -> dict[str, Any]:
        """What the contract does not have: names that the catalog lets through stand beside it."""
        return {name: value for name, value in order.spec.provider_options.items() if name not in FIELDS}

    def _headers(self, job: Job[Any]) -> dict[str, str]:
        return {}

    def _taken(self, reply: Reply) -> SubmitOutcome:
        generation = read(reply, Generation)
        if generation is None:
            error = error_in(reply.json())
            failure = failed(error, answer_of(reply, error))
            if failure is not None and failure.reason is not FailureClass.TRANSIENT:
                return failure
            return Unknown("the answer is not the contract's", reply.answer())
        return self._ended(generation, reply) or Accepted({"id": generation.id}, reply.answer())

    def _ended(self, generation: Generation, reply: Reply) -> Completed | Failed | None:
        """How it ended; None for every word that is no end."""
        if generation.status == "completed":
            try:
                files = tuple(self._api.file(url) for url in generation.urls)
            except ValueError:
                return Failed(
                    FailureClass.PERMANENT, "the address of the file is none", answer=answer_of(reply).billed()
                )
            return Completed(files, answer_of(reply))
        if generation.status != "failed":
            return None
        error = error_in(generation.error)
        answer = answer_of(reply, error, is_billed=False if self.is_safelight else None)
        return failed(error, answer) or Failed(FailureClass.PERMANENT, answer=answer)

    def _pending(self, reply: Reply) -> Pending:
        told = read(reply, Told) or Told()
        stage = Stage.QUEUED if told.queue_position else Stage.RUNNING if self.is_safelight else None
        return Pending(progress=told.progress, stage=stage, place=told.queue_position, answer=reply.answer())

    def _not_told(self, reply: Reply, job: Job[Any]) -> PollOutcome:
        answer = answer_of(reply, error_in(reply.json()))
        if reply.status not in (404, 410):
            self._absences.forget(job.id)
            return not_told(reply, answer)
        return self._absences.missed(job.id, answer)

    async def _without_answer(self, job: Job[Any], unknown: Unknown) -> SubmitOutcome:
        return unknown

    async def _declined(self, reply: Reply, job: Job[Any]) -> SubmitOutcome:
        return self._declined_for_sure(reply) or failure_of(reply, answer_of(reply, error_in(reply.json())))

    def _declined_for_sure(self, reply: Reply) -> Failed | None:
        """What a code of the contract's comes to, where with it nothing can have been taken."""
        error = error_in(reply.json())
        if reply.status >= 500 and error.code != "generation_failed":
            return None
        fetches_images = self._settings.references == "link"
        return failed(
            error,
            answer_of(reply, error),
            retry_after_seconds=reply.retry_after_seconds(),
            fetches_images=fetches_images,
        )


class SafelightProvider(HostedProvider):
    """Another Safelight."""

    is_safelight = True

    async def find(self, job: Job[Any]) -> FindOutcome:
        """Ask by the order's idempotency key. What was underway as its sender ended has time to be put on record."""
        if datetime.now(UTC) - job.submitted_at > _KEYS_LAST:
            return CannotTell("the order is so old that its idempotency key may be forgotten there")
        found = await self._by_key(job)
        if found is None:
            await asyncio.sleep(_LATE_SECONDS)
            found = await self._by_key(job)
        match found:
            case str():
                return Found(Accepted({"id": found}))
            case None:
                return NeverTaken()
            case CannotTell():
                return found

    async def cancel(self, handle: Handle, job: Job[Any]) -> Cancellation:
        if job.type is GenerationType.IMAGE:
            return Cancellation.TOO_LATE  # there is no such call
        reply = await self._api.call("DELETE", f"{_PATHS[job.type]}/{quote(handle['id'], safe='')}")
        if not isinstance(reply, Reply) or reply.status >= 500:
            return Cancellation.ASKED
        match read(reply, _WhatBecame):
            case _WhatBecame("canceled"):
                return Cancellation.FREE
            case _WhatBecame("requested"):
                return Cancellation.ASKED
            case _:
                return Cancellation.TOO_LATE

    async def hint(self, callback: Callback) -> bool:
        """Whether it is an event of a generation (docs/webhooks.md)."""
        try:
            return msgspec.json.decode(callback.body, type=_Event).type.startswith("generation.")
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False

    def _more(self, order: Order, job: Job[Any]) -> dict[str, Any]:
        spec, settings = order.spec, self._settings
        more = {
            "seed": spec.seed,
            "negative_prompt": spec.negative_prompt,
            "provider_options": spec.provider_options or None,
            "retention_seconds": settings.retention_seconds,
            "webhook_url": job.callback_url if settings.callbacks else None,
        }
        return {name: value for name, value in more.items() if value is not None}

    def _headers(self, job: Job[Any]) -> dict[str, str]:
        return {"Idempotency-Key": job.idempotency_key}

    async def _without_answer(self, job: Job[Any], unknown: Unknown) -> SubmitOutcome:
        """It may be on its way still, and on record in a moment: not to be found is no proof."""
        found = await self._by_key(job)
        return Accepted({"id": found}) if isinstance(found, str) else unknown

    async def _declined(self, reply: Reply, job: Job[Any]) -> SubmitOutcome:
        """Where the answer leaves it open, the idempotency key tells whether the order is on record."""
        if (certain := self._declined_for_sure(reply)) is not None:
            return certain
        outcome = failure_of(reply, answer_of(reply, error_in(reply.json())))
        if isinstance(outcome, Failed) and reply.status < 500:
            return outcome
        found = await self._by_key(job)
        if isinstance(found, str):
            return Accepted({"id": found}, outcome.answer)
        if found is None:
            return Failed(FailureClass.TRANSIENT, "", reply.retry_after_seconds(), outcome.answer)
        return Unknown(found.detail, outcome.answer)

    async def _by_key(self, job: Job[Any]) -> str | CannotTell | None:
        """The id of what it has on record by the order's idempotency key; None: there is nothing."""
        asked = {"idempotency_key": job.idempotency_key, "limit": "2"}
        reply = await self._api.call("GET", "/v2/generations", query=asked)
        if not isinstance(reply, Reply):
            return CannotTell(reply.detail)
        listing = read(reply, _Listing) if reply.is_ok else None
        if listing is None:
            return CannotTell("it does not say what it has by our idempotency key", reply.answer())
        if len(listing.data) > 1:
            return CannotTell("it is of a release that does not look for an idempotency key")
        return listing.data[0].id if listing.data else None


def _size(order: Order, job: Job[Any]) -> tuple[str, str] | None:
    """Resolution and ratio in the other side's words; None where the catalog's word is not two."""
    if job.size_word is None:
        return order.spec.resolution, order.spec.aspect_ratio
    match job.size_word.split():
        case [resolution, aspect_ratio]:
            return resolution, aspect_ratio
        case _:
            return None


def _open(settings: Settings, host: Host) -> Provider:
    provider = SafelightProvider if settings.flavor == "safelight" else HostedProvider
    return provider(settings, host.read_secret(settings.key))


KIND = ProviderKind(settings=Settings, open=_open)
