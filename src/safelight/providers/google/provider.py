"""The port, spoken to Google."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from safelight.domain.catalog import Binding, Model
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
from safelight.domain.ports import Host, Job, ProviderKind
from safelight.domain.request import Order
from safelight.domain.text import without_secrets
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, not_told
from safelight.outbound.client import Method
from safelight.outbound.loose_json import at, text_in
from safelight.outbound.policy import OutboundPolicy
from safelight.providers.google import generate_content, interactions, veo
from safelight.providers.google.checks import look
from safelight.providers.google.errors import failure_of_job, read_error, refusal_of
from safelight.providers.google.files import Files
from safelight.providers.google.saying import check_binding, refused
from safelight.providers.google.settings import Options, Settings
from safelight.providers.google.tokens import AccessTokens, MetadataServer, grant_of

_ASKING_SECONDS = 60.0
_FETCHING_SECONDS = 600.0
"""What was made may come in the answer to a question."""
_CANCELING_SECONDS = 8.0
_INTERACTION, _OPERATION = "interaction", "operation"


class GoogleProvider:
    """The Gemini Developer API, or Vertex.

    No order can be looked for: none of the APIs takes an id of ours, or lists what it has. One whose answer is lost is
    unknown.
    """

    def __init__(self, settings: Settings, key: str | None, tokens: AccessTokens | None) -> None:
        self._settings, self._tokens = settings, tokens
        self._key = () if key is None else (key,)
        ours = {} if key is None else {"x-goog-api-key": key}
        if settings.user_project is not None:
            ours["x-goog-user-project"] = settings.user_project
        self._api = BackendApi(settings, ours)
        self._absences = Absences()

    @property
    def secrets(self) -> tuple[str, ...]:
        return () if self._tokens is None else self._tokens.secrets

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        settings = self._settings
        api = settings.api_of(order.type, job.options)
        if (failure := refused(order, job, api, settings)) is not None:
            return failure
        media_in: Callable[[], Path] | None = job.make_workdir
        match api:
            case "generate-content":
                path = f"{settings.model_path(job.upstream_model)}:generateContent"
                body = generate_content.order_body(order, job)
            case "interactions":
                path, body = f"{settings.root}/interactions", interactions.order_body(order, job, settings)
            case "veo":
                path = f"{settings.model_path(job.upstream_model)}:predictLongRunning"
                body, media_in = veo.order_body(order, job), None
        asked = await self._ask("POST", path, body, settings.timeout_seconds, media_in)
        if isinstance(asked, Failed):
            return asked
        match asked:
            case NotSent():
                return asked.failed()
            case NoReply():
                return asked.unknown()
            case Reply() if not asked.is_ok:
                return refusal_of(asked, settings)
            case Reply() if api == "generate-content":
                return generate_content.picture_of(asked, order, job, settings, await self._files())
            case Reply() if api == "interactions":
                return await self._interaction_taken(asked, order)
            case Reply():
                return self._operation_taken(asked)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        settings = self._settings
        if _OPERATION in handle:
            operation = str(handle[_OPERATION])
            model = veo.model_of(operation)
            path = f"/{settings.version}/{model}" if model else settings.model_path(job.upstream_model)
            asked = await self._ask(
                "POST",
                f"{path}:fetchPredictOperation",
                {"operationName": operation},
                _FETCHING_SECONDS,
                job.make_workdir,
            )
            read: Callable[[Reply], Awaitable[PollOutcome]] = lambda reply: self._operation(reply, operation)  # noqa: E731
        else:
            path = self._interaction_path(handle)
            asked = await self._ask("GET", f"{path}?stream=false", None, _FETCHING_SECONDS, job.make_workdir)
            read = lambda reply: self._interaction(reply, job)  # noqa: E731
        if not isinstance(asked, Reply):
            return Unknown(asked.detail)
        if asked.status in (404, 410):
            return self._absences.missed(job.id, asked.answer())
        self._absences.forget(job.id)
        if not asked.is_ok:
            error = read_error(asked.json())
            return not_told(asked, wait_seconds=error.retry_after_seconds if error else None)
        outcome = await read(asked)
        if not isinstance(outcome, Completed):
            asked.drop_media()  # what an unfinished job shows, each time
        return outcome

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        """What an interaction that is stopped costs is not told, so how it ended is asked for."""
        if _OPERATION in handle:
            return Cancellation.TOO_LATE
        path = self._interaction_path(handle)
        match await self._ask("POST", f"{path}/cancel", None, _CANCELING_SECONDS):
            case Reply() as reply if reply.is_ok or reply.status >= 500:
                return Cancellation.ASKED
            case NoReply():
                return Cancellation.ASKED
            case _:
                return Cancellation.TOO_LATE

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        async def ask(path: str, seconds: float) -> Reply | NotSent | NoReply | Failed:
            return await self._ask("GET", path, None, seconds)

        findings = await look(ask, self._settings, model, binding)
        secrets = (*self._key, *self.secrets)
        return [msgspec.structs.replace(finding, text=without_secrets(finding.text, secrets)) for finding in findings]

    async def close(self) -> None:
        await self._api.close()
        if self._tokens is not None:
            await self._tokens.close()

    async def _ask(
        self,
        method: Method,
        path: str,
        body: Mapping[str, Any] | None,
        deadline_seconds: float,
        media_in: Callable[[], Path] | None = None,
    ) -> Reply | NotSent | NoReply | Failed:
        """One request behind ``base_url``. ``Failed``: none was made, as there is no access token."""
        revision = self._settings.api_revision
        headers = {"api-revision": revision} if revision and "/interactions" in path else {}
        token = None if self._tokens is None else await self._tokens.get()
        if isinstance(token, Failed):
            return token
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        reply = await self._api.call(
            method,
            path,
            json=msgspec.UNSET if body is None else body,
            headers=headers,
            deadline_seconds=deadline_seconds,
            media_in=media_in,
        )
        if self._tokens is None or token is None or not isinstance(reply, Reply):
            return reply
        if reply.status != 401:
            self._tokens.accepted(token)
        elif self._tokens.refused(token):
            return Failed(
                FailureClass.TRANSIENT,
                "the access token is taken no more, and another is asked for",
                answer=reply.answer(),
            )
        return reply

    async def _files(self) -> Files:
        token = None if self._tokens is None else await self._tokens.get()
        headers = {"Authorization": f"Bearer {token}"} if isinstance(token, str) else {}
        if headers and self._settings.user_project is not None:
            headers["x-goog-user-project"] = self._settings.user_project
        return Files(self._api, self._settings, headers)

    async def _interaction_taken(self, reply: Reply, order: Order) -> SubmitOutcome:
        outcome = interactions.state_of(reply, order.type, self._settings, await self._files(), seed=order.spec.seed)
        interaction = text_in(at(reply.json(), "id"))
        if isinstance(outcome, Pending) and interaction:
            return Accepted({_INTERACTION: interaction}, outcome.answer)
        if isinstance(outcome, Pending):
            return Unknown("it took the order, and told no id of an interaction", outcome.answer)
        if isinstance(outcome, Unknown) and interaction:
            return Accepted({_INTERACTION: interaction}, outcome.answer)
        return outcome

    def _operation_taken(self, reply: Reply) -> SubmitOutcome:
        document = reply.json()
        if (operation := veo.operation_of(reply)) is not None:
            return Accepted({_OPERATION: operation}, reply.answer())
        if (error := at(document, "error")) is not None and (told := read_error(error)) is not None:
            return failure_of_job(told, self._settings, reply.answer())
        return Unknown("it took the order, and told no name of an operation", reply.answer())

    async def _interaction(self, reply: Reply, job: Job[Options]) -> PollOutcome:
        return interactions.state_of(reply, job.type, self._settings, await self._files())

    async def _operation(self, reply: Reply, operation: str) -> PollOutcome:
        return veo.state_of(reply, operation, self._settings, await self._files())

    def _interaction_path(self, handle: Handle) -> str:
        return f"{self._settings.root}/interactions/{quote(str(handle[_INTERACTION]), safe='')}"


def _open(settings: Settings, host: Host) -> GoogleProvider:
    if settings.platform == "gemini":
        assert settings.key is not None
        return GoogleProvider(settings, host.read_secret(settings.key), None)
    if settings.metadata_url is not None:
        return GoogleProvider(settings, None, AccessTokens(MetadataServer(settings.metadata_url)))
    assert settings.credentials is not None
    policy = OutboundPolicy.parse(settings.allow, setting="allow")
    grant, project = grant_of(host.read_secret(settings.credentials), policy)
    if settings.user_project is None and project is not None:
        settings = msgspec.structs.replace(settings, user_project=project)
    return GoogleProvider(settings, None, AccessTokens(grant))


KIND = ProviderKind(settings=Settings, options=Options, open=_open, check_binding=check_binding)
