"""The port, spoken to a server of the WebUI's API.

A picture comes in the answer to its order, and cannot be asked for again. What such a server can be asked to stop is
whatever it makes, for anybody, so it is not asked. SD.Next has jobs besides, which have ids.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Finding,
    Handle,
    Pending,
    PollOutcome,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Host, Job, Provider, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, not_told
from safelight.providers.a1111.answers import job_id_of, job_path, picture_of, state_of, told_in
from safelight.providers.a1111.checks import look
from safelight.providers.a1111.errors import refusal_of
from safelight.providers.a1111.orders import Asking, job_order, picture_order
from safelight.providers.a1111.progress import was_stopped, watched
from safelight.providers.a1111.saying import refused
from safelight.providers.a1111.settings import Options, ServerSettings, Settings

_ASKING_SECONDS = 30.0


class WebUiProvider:
    """A server that makes a picture while its order waits for the answer."""

    def __init__(self, settings: ServerSettings, credentials: str | None) -> None:
        self._quirks = settings.quirks
        self._timeout_seconds = settings.timeout_seconds
        self._token = None if credentials is None else base64.b64encode(credentials.encode()).decode()
        self._password = None if credentials is None else credentials.partition(":")[2]
        basic = {} if self._token is None else {"Authorization": f"Basic {self._token}"}
        self._api = BackendApi(settings, {**settings.headers, **basic})
        self.repeatable = self._quirks.repeatable

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password alone, and what goes over the wire."""
        return tuple(secret for secret in (self._password, self._token) if secret)

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        if (failure := refused(order, job, self._quirks)) is not None:
            return failure
        return await self._give(order, job)

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await look(self._api, self._quirks, model, binding, has_key=self._token is not None)

    async def close(self) -> None:
        await self._api.close()

    async def _give(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        asking = picture_order(order, job, self._quirks)
        async with watched(self._api, job, self._quirks):
            exchange = await self._post(asking, job)
        if not isinstance(exchange, Reply) or not exchange.is_ok:
            return self._not_taken(exchange, order)
        told, wants_model = told_in(exchange), self._quirks.model_choice != "none" and self._quirks.verify_model
        model = job.upstream_model if wants_model else None
        outcome = picture_of(exchange, told, prompt=order.spec.prompt, seed=asking.seed, model=model)
        if isinstance(outcome, Completed) and told is not None and await self._is_half_made(told.job_timestamp):
            return Failed(FailureClass.TRANSIENT, "somebody stopped it halfway at the server", answer=outcome.answer)
        return outcome

    async def _post(self, asking: Asking, job: Job[Options]) -> Reply | NotSent | NoReply:
        seconds = self._timeout_seconds
        return await self._api.call(
            "POST", asking.path, json=asking.json, deadline_seconds=seconds, media_in=job.make_workdir
        )

    async def _is_half_made(self, job_timestamp: str | None) -> bool:
        if job_timestamp is None or not self._quirks.tells_interrupts:
            return False
        return await was_stopped(self._api, job_timestamp)

    def _not_taken(self, exchange: Reply | NotSent | NoReply, order: Order) -> Failed | Unknown:
        match exchange:
            case NotSent():
                return exchange.failed()
            case NoReply():
                return exchange.unknown()
            case Reply():
                return refusal_of(exchange, order.spec.provider_options)


class JobsProvider(WebUiProvider):
    """A server whose orders are jobs.

    It takes no id of ours, and its list tells what was asked for of completed jobs alone: one whose id was lost is not
    found again.
    """

    def __init__(self, settings: ServerSettings, credentials: str | None) -> None:
        super().__init__(settings, credentials)
        self._absences = Absences()

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        job_id = str(handle["id"])
        exchange = await self._api.call(
            "GET", job_path(job_id), deadline_seconds=_ASKING_SECONDS, media_in=job.make_workdir
        )
        if not isinstance(exchange, Reply):
            return Unknown(exchange.detail)
        if exchange.status in (404, 410):
            return self._missed(job_id, exchange)
        self._absences.forget(job_id)
        if not exchange.is_ok:
            return not_told(exchange)
        outcome = state_of(exchange, handle, job.type, self._api)
        if not isinstance(outcome, Completed):
            exchange.drop_media()  # previews, each time
        return outcome

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        match await self._api.call("DELETE", job_path(str(handle["id"])), deadline_seconds=_ASKING_SECONDS):
            case Reply() as reply if reply.is_ok:
                return Cancellation.FREE
            case NoReply():
                return Cancellation.ASKED
            case Reply(status) if status >= 500 or status == 429:
                return Cancellation.ASKED
            case _:
                return Cancellation.TOO_LATE

    async def _give(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        asking = job_order(order, job, self._quirks)
        exchange = await self._post(asking, job)
        if not isinstance(exchange, Reply) or not exchange.is_ok:
            return self._not_taken(exchange, order)
        answer = msgspec.structs.replace(exchange.answer(), seed=asking.seed)
        job_id = job_id_of(exchange)
        if job_id is None:
            return Unknown("the server took the order, and told no id of a job", answer)
        chosen = sorted(order.spec.provider_options)
        return Accepted({"id": job_id, "seed": asking.seed, "chosen": chosen}, answer)

    def _missed(self, job_id: str, reply: Reply) -> PollOutcome:
        reason = FailureClass.TRANSIENT if self.repeatable else FailureClass.PERMANENT
        outcome = self._absences.missed(job_id, reply.answer(), reason=reason)
        return outcome if isinstance(outcome, Failed) else Pending(answer=outcome.answer)


def _open(settings: ServerSettings, host: Host) -> Provider:
    provider = JobsProvider if settings.quirks.jobs else WebUiProvider
    return provider(settings, _credentials(settings, None if settings.key is None else host.read_secret(settings.key)))


def _credentials(settings: ServerSettings, key: str | None) -> str | None:
    if key is None:
        return None
    if settings.user is not None:
        return f"{settings.user}:{key}"
    if ":" not in key:
        raise ConfigurationError("key: it is no user:password. Set user, or write the key as user:password.")
    return key


KIND = ProviderKind(settings=Settings, options=Options, open=_open)
