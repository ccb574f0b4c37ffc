"""Orders, polls and cancels at fal's queue.

An order has no key by which it could be found again, so one whose answer is lost is unknown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.field_map import filled
from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Finding,
    Handle,
    Pending,
    PollOutcome,
    Produced,
    Stage,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Callback, Host, Job, ProviderKind
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, failure_of, not_told
from safelight.providers.fal.answers import (
    Error,
    Status,
    Ticket,
    answer_of,
    cancellation_in,
    error_in,
    failed,
    is_known,
    is_made_billed,
    status_in,
    ticket_in,
    ticket_of,
)
from safelight.providers.fal.check import findings_of
from safelight.providers.fal.output import address_in, is_empty, is_flagged
from safelight.providers.fal.settings import Options, Settings, check_binding
from safelight.providers.fal.webhooks import SigningKeys

_KEYS_SECONDS = 10.0
_KEYS_MAX_BYTES = 64 * 1024
_STATUS_MAX_BYTES = 16 * 1024 * 1024
_FLAGGED = "the model marks what it made as indecent"
_MOST_WISHES = 1000
_MODELS_OWN = (400, 422)
"""A result with this status is what the model said, in whatever words. Any other is the server's own unless the job's
status says that the job failed; three times in a row it is the job's all the same."""
_SERVERS_OWN = (401, 402, 403, 407, 408, 425, 502, 503, 504)
"""Of a key, an account or a gateway, however often: an operator may mend it, and what was made is there still."""


class _Hint(msgspec.Struct, frozen=True):
    request_id: str
    status: str


class FalProvider:
    """fal's queue."""

    def __init__(self, settings: Settings, key: str) -> None:
        self._settings = settings
        self._api = BackendApi(settings, {"Authorization": f"Key {key}"})
        self._absences = Absences()
        self._wishes: dict[str, None] = {}
        """Jobs that were asked to stop: one that is then gone was stopped."""
        self._keys = SigningKeys(self._published_keys)

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        options, is_linked = job.options, self._is_linked
        urls = [
            job.reference_url(index) if is_linked else reference.data_url()
            for index, reference in enumerate(order.references)
        ]
        body = filled(options.fields, order, job.size_word, fixed=options.input, urls=urls)
        if isinstance(body, Failed):
            return body
        reply = await self._api.call(
            "POST",
            f"/{job.upstream_model}",
            query={"fal_webhook": job.callback_url} if self._settings.callbacks else None,
            json=body,
            headers={**self._settings.headers(), **options.headers()},
        )
        match reply:
            case NotSent():
                return reply.failed()
            case NoReply():
                return reply.unknown()
            case Reply() if reply.is_ok:
                ticket = ticket_in(reply, self._api.base_url, job.upstream_model)
                if ticket is None:
                    return Unknown("the answer is not the queue's", reply.answer())
                return Accepted(msgspec.to_builtins(ticket), answer_of(reply, ticket.id))
            case Reply():
                return self._declined(reply, options)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        ticket = self._ticket(handle, job)
        reply = await self._api.call("GET", ticket.status_url, max_bytes=_STATUS_MAX_BYTES)
        if not isinstance(reply, Reply):
            return Unknown(reply.detail)
        if not reply.is_ok:
            return self._not_told(reply, ticket, job)
        self._absences.forget(job.id)
        status = status_in(reply)
        if status is None:
            return Unknown("it does not say how the job stands", reply.answer())
        if status.is_ended:
            return await self._ended(status, ticket, job)
        stage = {"IN_QUEUE": Stage.QUEUED, "IN_PROGRESS": Stage.RUNNING}.get(status.word)
        place = status.ahead + 1 if stage is Stage.QUEUED and status.ahead is not None else None
        return Pending(
            stage=stage,
            place=place,
            poll_after_seconds=reply.retry_after_seconds(),
            answer=answer_of(reply, ticket.id),
        )

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        reply = await self._api.call("PUT", self._ticket(handle, job).cancel_url)
        answered = cancellation_in(reply) if isinstance(reply, Reply) else Cancellation.ASKED
        if answered is Cancellation.ASKED:
            while len(self._wishes) >= _MOST_WISHES:
                del self._wishes[next(iter(self._wishes))]
            self._wishes[job.id] = None
        return answered

    async def hint(self, callback: Callback) -> bool:
        """Whether it is fal's word of a job that ended."""
        try:
            told = msgspec.json.decode(callback.body, type=_Hint)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        return bool(told.request_id) and await self._keys.signed(callback, time.time())

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await findings_of(self._api, self._settings, model, binding)

    async def close(self) -> None:
        await self._api.close()

    @property
    def _is_linked(self) -> bool:
        return self._settings.references == "link"

    def _ticket(self, handle: Handle, job: Job[Options]) -> Ticket:
        """The addresses of a job behind ``base_url`` as it is now, which may have been another when it was ordered."""
        return ticket_of(handle["id"], handle, self._api.base_url, job.upstream_model)

    def _declined(self, reply: Reply, options: Options) -> SubmitOutcome:
        """What the queue answers that did not take the order."""
        error = error_in(reply)
        answer = answer_of(reply, None, error=error)
        outcome = failure_of(reply, answer)
        if isinstance(outcome, Unknown) or outcome.reason is FailureClass.TRANSIENT or not 400 <= reply.status < 500:
            return outcome
        return failed(reply, error, options, answer=answer, is_linked=self._is_linked, status=reply.status)

    def _not_told(self, reply: Reply, ticket: Ticket, job: Job[Options]) -> PollOutcome:
        """A server that does not say how a job stands says nothing of the job, but that there is none."""
        error = error_in(reply)
        answer = msgspec.structs.replace(answer_of(reply, ticket.id, error=error), is_billed=None)
        if reply.status not in (404, 410):
            self._absences.forget(job.id)
            return not_told(reply, answer)
        outcome = self._absences.missed(job.id, answer)
        if isinstance(outcome, Failed) and job.id in self._wishes:
            return Failed(FailureClass.CANCELED, "it was asked to stop, and is gone", answer=answer)
        return outcome

    async def _ended(self, status: Status, ticket: Ticket, job: Job[Options]) -> PollOutcome:
        """What a job came to: its result has the model's own status and words."""
        reply = await self._api.call("GET", ticket.response_url, media_in=job.make_workdir)
        if not isinstance(reply, Reply):
            return Unknown(reply.detail)
        results = f"{job.id} result"
        if reply.is_ok:
            self._absences.forget(results)
            if not status.is_failed:
                return self._made(reply, status, ticket, job)
        error = error_in(reply, status)
        answer = answer_of(reply, ticket.id, error=error, status=status)
        if not status.is_failed and (waits := _not_yet(reply, error, answer)) is not None:
            self._absences.forget(results)
            return waits
        is_told = not reply.is_ok and isinstance(reply.json(), dict | list)
        is_failed = status.is_failed and (is_told or error.type is not None)
        if not (reply.is_ok or is_failed or reply.status in _MODELS_OWN):
            if not self._absences.count(results):
                return Unknown(f"HTTP {reply.status} says nothing of the job", answer)
            if error.type is None and not status.is_failed:
                why = "it made something, by its job's status, and does not give it"
                return Failed(FailureClass.PERMANENT, why, answer=msgspec.structs.replace(answer, is_billed=None))
        http = reply.status if is_told else None
        return failed(reply, error, job.options, answer=answer, is_linked=self._is_linked, status=http)

    def _made(self, reply: Reply, status: Status, ticket: Ticket, job: Job[Options]) -> Completed | Failed | Unknown:
        output, options = reply.json(), job.options
        if output is None:
            return Unknown("its result cannot be read", answer_of(reply, ticket.id, status=status))
        answer = answer_of(reply, ticket.id, status=status, output=output)
        address = address_in(output, job.type, options.output)
        if is_flagged(output) and options.flagged == "refused":
            return Failed(FailureClass.CONTENT_POLICY, _FLAGGED, answer=_billed(answer))
        if address is not None:
            return self._file(reply, address, answer)
        if is_empty(output, job.type):
            units = answer.usage.raw.get("billable_units") if answer.usage else None
            return Completed((), answer if units is None else _billed(answer))
        if isinstance(output, dict) and (output.get("detail") or output.get("error")):
            error = error_in(reply)
            answer = answer_of(reply, ticket.id, error=error, status=status)
            return failed(reply, error, options, answer=answer, is_linked=self._is_linked, status=None)
        why = f"no {job.type} is in its output: say in the binding's output where it is"
        return Failed(FailureClass.PERMANENT, why, answer=_billed(answer))

    def _file(self, reply: Reply, address: str, answer: Answer) -> Completed | Failed:
        produced: Produced | None
        if address in reply.media or address[:5].lower() == "data:":
            produced = reply.inline(address)
        else:
            try:
                produced = self._api.file(address)
            except ValueError:
                produced = None
            if produced is not None and not produced.url.startswith(("https://", "http://")):
                produced = None
        if produced is None:
            return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=_billed(answer))
        return Completed((produced,), answer)

    async def _published_keys(self) -> Any:
        reply = await self._api.call(
            "GET", self._settings.jwks_url, deadline_seconds=_KEYS_SECONDS, max_bytes=_KEYS_MAX_BYTES
        )
        return reply.json() if isinstance(reply, Reply) and reply.is_ok else None


def _billed(answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, is_billed=is_made_billed(answer))


def _not_yet(reply: Reply, error: Error, answer: Answer) -> Pending | Unknown | None:
    """A result that is not given now, of a job that did not fail by its status; None: it is the job's own.

    Were it taken for a failure, what was made and is billed would be ordered again.
    """
    if reply.status == 429 and not is_known(error):
        return Pending(poll_after_seconds=reply.retry_after_seconds(), answer=answer)
    if reply.status == 400 and "in progress" in (answer.words or "").lower():
        return Pending(answer=answer)
    if reply.status in _SERVERS_OWN and not is_known(error):
        return Unknown(f"HTTP {reply.status} says nothing of the job", msgspec.structs.replace(answer, is_billed=None))
    return None


def _open(settings: Settings, host: Host) -> FalProvider:
    return FalProvider(settings, host.read_secret(settings.key))


KIND = ProviderKind(settings=Settings, options=Options, open=_open, check_binding=check_binding)
