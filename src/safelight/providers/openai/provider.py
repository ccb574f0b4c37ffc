"""The port, spoken to a server of OpenAI's shape."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urljoin

from safelight.domain.catalog import Binding, Model
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
    RemoteFile,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Host, Job, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, Exchange, NoReply, NotSent, Reply, not_told
from safelight.providers.openai.answers import image_of, job_id_of, state_of
from safelight.providers.openai.checks import look
from safelight.providers.openai.errors import failure_of_job, read_error, refusal_of
from safelight.providers.openai.orders import Asking, image_order, video_order
from safelight.providers.openai.saying import refused
from safelight.providers.openai.settings import Options, ServerSettings, Settings

_ASKING_SECONDS = 30.0
_ACCEPTED = 202


class OpenAiProvider:
    """A server of OpenAI's shape. A picture comes in the answer to its order, or is a job as a clip is.

    A job cannot be found again whose id was lost, unless the server takes an id of ours: of two orders with the same
    prompt nothing tells whose is whose.
    """

    def __init__(self, settings: ServerSettings, key: str | None) -> None:
        self._quirks = settings.quirks
        self._timeout_seconds = settings.timeout_seconds
        self._api = BackendApi(settings, {**settings.headers, **_credentials(settings, key)})
        self._has_key = key is not None
        self._absences = Absences()
        self.repeatable = self._quirks.repeatable

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        if (failure := refused(order, job, self._quirks)) is not None:
            return failure
        is_image = order.type is GenerationType.IMAGE
        asking = (image_order if is_image else video_order)(order, job, self._quirks)
        match await self._ask(asking, job):
            case NotSent() as not_sent:
                return not_sent.failed()
            case NoReply() as no_reply:
                return no_reply.unknown()
            case Reply() as reply if not reply.is_ok:
                return refusal_of(reply, self._quirks)
            case Reply() as reply if is_image and not (self._quirks.image_jobs_path and reply.status == _ACCEPTED):
                prompt = order.spec.prompt
                return image_of(reply, self._quirks, self._address, prompt=prompt, seed=asking.seed)
            case Reply() as reply:
                return self._taken(reply, order.type)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        job_id = str(handle["id"])
        exchange = await self._get(job_id, job.type)
        if not isinstance(exchange, Reply):
            return Unknown(exchange.detail)
        if exchange.status in (404, 410):
            return self._missed(job_id, exchange)
        self._absences.forget(job_id)
        if not exchange.is_ok:
            return not_told(exchange)
        return self._state(exchange, job_id, job.type)

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        """Where DELETE stops a job it is a server of one's own, which charges nothing."""
        if self._quirks.cancel == "none":
            return Cancellation.TOO_LATE
        path = self._path(self._job_path(str(handle["id"]), job.type))
        match await self._api.call("DELETE", path, deadline_seconds=_ASKING_SECONDS):
            case Reply() as reply if reply.is_ok:
                return Cancellation.FREE if self.repeatable else Cancellation.ASKED
            case NoReply():
                return Cancellation.ASKED
            case _:
                return Cancellation.TOO_LATE

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await look(self._api, self._quirks, model, binding, has_key=self._has_key)

    async def close(self) -> None:
        await self._api.close()

    async def _ask(self, asking: Asking, job: Job[Options]) -> Exchange:
        path, seconds = self._path(asking.path), self._timeout_seconds
        headers: dict[str, str] = {}
        if self._quirks.own_ids:
            headers["Idempotency-Key"] = job.idempotency_key
        if self._quirks.image_jobs_path and job.type is GenerationType.IMAGE:
            headers["Prefer"] = "respond-async"
        if asking.form is None:
            return await self._api.call("POST", path, json=asking.json, headers=headers, deadline_seconds=seconds)
        body, headers["Content-Type"] = asking.form
        return await self._api.call("POST", path, body=body, headers=headers, deadline_seconds=seconds)

    async def _get(self, job_id: str, kind: GenerationType) -> Exchange:
        return await self._api.call("GET", self._path(self._job_path(job_id, kind)), deadline_seconds=_ASKING_SECONDS)

    def _taken(self, reply: Reply, kind: GenerationType) -> SubmitOutcome:
        """What a 2xx to an order for a clip means: it was taken, or made at once."""
        document = reply.json()
        job_id = job_id_of(document)
        if job_id is None and (error := read_error(document)) is not None:
            return failure_of_job(error, self._quirks, reply.answer())
        outcome = self._state(reply, job_id, kind)
        if isinstance(outcome, Failed) or (job_id is None and isinstance(outcome, Completed)):
            return outcome
        if job_id is None:
            return Unknown("the server took the order, and told no id of a job", outcome.answer)
        return Accepted({"id": job_id}, outcome.answer)

    def _state(self, reply: Reply, job_id: str | None, kind: GenerationType) -> PollOutcome:
        content = None
        if self._quirks.content_path and job_id is not None:
            content = self._api.url(self._path(self._job_path(job_id, kind) + self._quirks.content_path))
        return state_of(reply, self._quirks, self._address, content)

    def _missed(self, job_id: str, reply: Reply) -> PollOutcome:
        reason = FailureClass.TRANSIENT if self.repeatable else FailureClass.PERMANENT
        outcome = self._absences.missed(job_id, reply.answer(), reason=reason)
        return outcome if isinstance(outcome, Failed) else Pending(answer=outcome.answer)

    def _job_path(self, job_id: str, kind: GenerationType) -> str:
        path = self._quirks.image_jobs_path if kind is GenerationType.IMAGE else self._quirks.jobs_path
        return f"{path}/{quote(job_id, safe='')}"

    def _path(self, path: str) -> str:
        """A path behind ``base_url``, or the whole address of one beside it."""
        return urljoin(f"{self._api.base_url}/", path) if path.startswith("../") else path

    def _address(self, word: str) -> RemoteFile:
        return self._api.file(word, with_key=True)


class FindableOpenAiProvider(OpenAiProvider):
    """One whose jobs have our ids."""

    async def find(self, job: Job[Options]) -> FindOutcome:
        job_id = job.idempotency_key
        exchange = await self._get(job_id, job.type)
        if not isinstance(exchange, Reply):
            return CannotTell(exchange.detail)
        if exchange.status == 404:  # it may not have come there yet
            return NeverTaken() if self._absences.count(job_id) else CannotTell("not known now", exchange.answer())
        self._absences.forget(job_id)
        if not exchange.is_ok:
            return CannotTell(f"HTTP {exchange.status} says nothing of the job", exchange.answer())
        outcome = self._state(exchange, job_id, job.type)
        if isinstance(outcome, Completed | Failed):
            return Found(outcome)
        return Found(Accepted({"id": job_id}, outcome.answer))


def _credentials(settings: ServerSettings, key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    is_bearer = settings.key_header.lower() == "authorization"
    return {settings.key_header: f"Bearer {key}" if is_bearer else key}


def _open(settings: ServerSettings, host: Host) -> OpenAiProvider:
    kind = FindableOpenAiProvider if settings.quirks.own_ids else OpenAiProvider
    return kind(settings, None if settings.key is None else host.read_secret(settings.key))


KIND = ProviderKind(settings=Settings, options=Options, open=_open)
