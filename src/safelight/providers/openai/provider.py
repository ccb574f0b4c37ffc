"""The port, spoken to a server of OpenAI's shape."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urljoin

from safelight.domain.catalog import Binding, Model
from safelight.domain.generations import GenerationType
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
    RemoteFile,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Host, Job, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, not_told
from safelight.providers.openai.answers import image_of, job_id_of, state_of
from safelight.providers.openai.checks import look
from safelight.providers.openai.errors import failure_of_job, read_error, refusal_of
from safelight.providers.openai.orders import Asking, image_order, video_order
from safelight.providers.openai.saying import refused
from safelight.providers.openai.settings import Options, ServerSettings, Settings

_ASKING_SECONDS = 30.0


class OpenAiProvider:
    """A server of OpenAI's shape. A picture comes in the answer to its order; a clip is a job.

    A job cannot be found again whose id was lost: no server takes an id of ours, and of two orders with the same prompt
    nothing tells whose is whose.
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
        match await self._ask(asking):
            case NotSent() as not_sent:
                return not_sent.failed()
            case NoReply() as no_reply:
                return no_reply.unknown()
            case Reply() as reply if not reply.is_ok:
                return refusal_of(reply, self._quirks)
            case Reply() as reply if is_image:
                prompt = order.spec.prompt
                return image_of(reply, self._quirks, self._address, prompt=prompt, seed=asking.seed)
            case Reply() as reply:
                return self._taken(reply)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        job_id = str(handle["id"])
        exchange = await self._api.call("GET", self._path(self._job_path(job_id)), deadline_seconds=_ASKING_SECONDS)
        if not isinstance(exchange, Reply):
            return Unknown(exchange.detail)
        if exchange.status in (404, 410):
            return self._missed(job_id, exchange)
        self._absences.forget(job_id)
        if not exchange.is_ok:
            return not_told(exchange)
        return self._state(exchange, job_id)

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        """Where DELETE stops a job it is a server of one's own, which charges nothing."""
        if self._quirks.cancel == "none":
            return Cancellation.TOO_LATE
        path = self._path(self._job_path(str(handle["id"])))
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

    async def _ask(self, asking: Asking) -> Reply | NotSent | NoReply:
        path, seconds = self._path(asking.path), self._timeout_seconds
        if asking.form is None:
            return await self._api.call("POST", path, json=asking.json, deadline_seconds=seconds)
        body, content_type = asking.form
        headers = {"Content-Type": content_type}
        return await self._api.call("POST", path, body=body, headers=headers, deadline_seconds=seconds)

    def _taken(self, reply: Reply) -> SubmitOutcome:
        """What a 2xx to an order for a clip means: it was taken, or made at once."""
        document = reply.json()
        job_id = job_id_of(document)
        if job_id is None and (error := read_error(document)) is not None:
            return failure_of_job(error, self._quirks, reply.answer())
        outcome = self._state(reply, job_id)
        if isinstance(outcome, Failed) or (job_id is None and isinstance(outcome, Completed)):
            return outcome
        if job_id is None:
            return Unknown("the server took the order, and told no id of a job", outcome.answer)
        return Accepted({"id": job_id}, outcome.answer)

    def _state(self, reply: Reply, job_id: str | None) -> PollOutcome:
        content = None
        if self._quirks.content_path and job_id is not None:
            content = self._api.url(self._path(self._job_path(job_id) + self._quirks.content_path))
        return state_of(reply, self._quirks, self._address, content)

    def _missed(self, job_id: str, reply: Reply) -> PollOutcome:
        reason = FailureClass.TRANSIENT if self.repeatable else FailureClass.PERMANENT
        outcome = self._absences.missed(job_id, reply.answer(), reason=reason)
        return outcome if isinstance(outcome, Failed) else Pending(answer=outcome.answer)

    def _job_path(self, job_id: str) -> str:
        return f"{self._quirks.jobs_path}/{quote(job_id, safe='')}"

    def _path(self, path: str) -> str:
        """A path behind ``base_url``, or the whole address of one beside it."""
        return urljoin(f"{self._api.base_url}/", path) if path.startswith("../") else path

    def _address(self, word: str) -> RemoteFile:
        return self._api.file(word, with_key=True)


def _credentials(settings: ServerSettings, key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    is_bearer = settings.key_header.lower() == "authorization"
    return {settings.key_header: f"Bearer {key}" if is_bearer else key}


def _open(settings: ServerSettings, host: Host) -> OpenAiProvider:
    return OpenAiProvider(settings, None if settings.key is None else host.read_secret(settings.key))


KIND = ProviderKind(settings=Settings, options=Options, open=_open)
