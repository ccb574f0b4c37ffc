"""The port, spoken to the DashScope API."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from safelight.domain.catalog import Binding, Model
from safelight.domain.outcomes import (
    Cancellation,
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
from safelight.outbound.absences import IN_A_ROW, Absences
from safelight.outbound.backend_api import DEADLINE_SECONDS, BackendApi, NoReply, NotSent, Reply, not_told
from safelight.providers.dashscope.answers import (
    Rules,
    answer_of,
    is_error,
    made,
    refusal_of,
    state_of,
    taken,
)
from safelight.providers.dashscope.check import look
from safelight.providers.dashscope.orders import body_of, check_binding, refused
from safelight.providers.dashscope.settings import PATHS, Options, Settings, shape_of

_ASKING_SECONDS = 30.0
_MAX_BYTES = 16 * 1024 * 1024
"""Of an answer about a task: files come as addresses."""


class DashScopeProvider:
    """The API of Alibaba Cloud Model Studio.

    A task cannot be found again whose id was lost: the API takes no id of ours, and its list tells no prompts. The list
    tells no addresses either, so tasks are asked about one by one. It calls nobody back over HTTP.
    """

    def __init__(self, settings: Settings, key: str) -> None:
        self._settings = settings
        self._rules = Rules(
            is_linked=settings.references == "link", retry_allocation_quota=settings.retry_allocation_quota
        )
        workspace = {} if settings.workspace is None else {"X-DashScope-WorkSpace": settings.workspace}
        self._api = BackendApi(settings, {"Authorization": f"Bearer {key}", **workspace})
        self._absences = Absences()

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        shape = shape_of(job.upstream_model, order.type, job.options)
        if (failure := refused(order, job, shape)) is not None:
            return failure
        is_task = shape.api != "multimodal"
        reply = await self._api.call(
            "POST",
            PATHS[shape.api],
            json=body_of(order, job, shape, self._settings.references),
            headers={"X-DashScope-Async": "enable"} if is_task else None,
            deadline_seconds=DEADLINE_SECONDS if is_task else self._settings.timeout_seconds,
        )
        match reply:
            case NotSent():
                return reply.failed()
            case NoReply():
                return reply.unknown()
            case Reply() if not reply.is_ok:
                return refusal_of(reply, self._rules)
            case Reply() if is_task:
                return taken(reply, self._rules)
            case Reply():
                return made(reply, self._rules, self._address, order.spec.prompt)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        task_id = str(handle["id"])
        reply = await self._api.call("GET", self._path(task_id), deadline_seconds=_ASKING_SECONDS, max_bytes=_MAX_BYTES)
        if not isinstance(reply, Reply):
            return Unknown(reply.detail)
        state = state_of(reply, self._rules, self._address) if reply.is_ok else None
        if (reply.is_ok and state is None) or reply.status in (404, 410):
            return self._missed(task_id, reply)
        self._absences.forget(task_id)
        return state or not_told(reply, answer_of(reply), noun="task")

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        """A task that waits is taken out of its queue; one that runs goes on, and is billed."""
        path = f"{self._path(str(handle['id']))}/cancel"
        match await self._api.call("POST", path, deadline_seconds=_ASKING_SECONDS, max_bytes=_MAX_BYTES):
            case Reply() as reply if reply.is_ok and isinstance(reply.json(), dict) and not is_error(reply):
                return Cancellation.FREE
            case Reply() as reply if 400 <= reply.status < 500 and reply.status not in (408, 429):
                return Cancellation.TOO_LATE
            case NotSent():
                return Cancellation.TOO_LATE
            case _:
                return Cancellation.ASKED

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        return await look(self._api, model, binding)

    async def close(self) -> None:
        await self._api.close()

    def _missed(self, task_id: str, reply: Reply) -> PollOutcome:
        if not self._absences.count(task_id):
            return Pending(answer=answer_of(reply))
        why = f"it did not know the task {IN_A_ROW} times in a row: it keeps one for a day"
        return Failed(FailureClass.PERMANENT, why, answer=answer_of(reply))

    def _path(self, task_id: str) -> str:
        return f"/tasks/{quote(task_id, safe='')}"

    def _address(self, word: str) -> RemoteFile:
        return self._api.file(word)


def _open(settings: Settings, host: Host) -> DashScopeProvider:
    return DashScopeProvider(settings, host.read_secret(settings.key))


KIND = ProviderKind(settings=Settings, options=Options, open=_open, check_binding=check_binding)
