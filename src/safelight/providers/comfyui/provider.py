"""Orders as jobs of a ComfyUI server. Its queue and its history are the truth; its WebSocket tells progress only.

A job has an id of our making, and a repeated id would run twice: nothing is ever submitted again here. Whether a lost
answer left a job behind is read from the queue, then the history (a job leaves the one and enters the other in one
step, so nothing falls between), and, where a restart lost both, from the file that carries our id in its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import randbelow
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.media import EXTENSION_OF_MIME, Reference
from safelight.domain.outcomes import (
    Accepted,
    Answer,
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
    Stage,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Asked, Host, Job
from safelight.domain.request import Order
from safelight.outbound.absences import Absences
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, failure_of
from safelight.providers.comfyui.check import look_at
from safelight.providers.comfyui.classes import read_classes
from safelight.providers.comfyui.fields import Options, Values, filled, seed_in, split, unfit_option
from safelight.providers.comfyui.history import (
    SavedFile,
    expected_files,
    failure_in,
    names_in,
    refusal_words,
    result_in,
)
from safelight.providers.comfyui.parts import without
from safelight.providers.comfyui.progress import ProgressListener
from safelight.providers.comfyui.workflow import Workflow, WorkflowError, read_workflow

_ON_ITS_WAY_SECONDS = 30.0
"""How long after it was sent an order may still arrive, of which there is no trace yet."""
_SEEDS = 2**31
_CALL_SECONDS = 20.0


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``repeatable``: an order whose answer was lost may be given again, elsewhere too, at the risk of a second run."""

    repeatable: bool = False


class _Queue(msgspec.Struct, frozen=True):
    """What a server has to do: graphs by the ids of their jobs; those that wait in the order in which they will run."""

    running: dict[str, Any]
    pending: dict[str, Any]

    def __contains__(self, prompt_id: str) -> bool:
        return prompt_id in self.running or prompt_id in self.pending

    def graph(self, prompt_id: str) -> object:
        return self.running.get(prompt_id) or self.pending.get(prompt_id)


class ComfyuiProvider:
    """A ComfyUI server."""

    poll_batch = 100

    def __init__(self, settings: Settings, host: Host) -> None:
        key = None if settings.key is None else host.read_secret(settings.key)
        self.repeatable = settings.repeatable
        self._api = BackendApi(settings, {} if key is None else {"Authorization": f"Bearer {key}"})
        self._folder = host.catalog_dir
        self._workflows: dict[str, Workflow] = {}
        self._progress = ProgressListener(self._api)
        self._absences = Absences()

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        prompt_id, spec, fields = job.idempotency_key, order.spec, job.options.fields
        if self.repeatable and isinstance(known := await self.find(job), Found):
            return known.outcome
        try:
            workflow = await self._workflow(job.options)
        except WorkflowError as error:
            return Failed(FailureClass.PERMANENT, str(error))
        if unfit := unfit_option(spec.provider_options, fields):
            return Failed(FailureClass.BAD_INPUT, unfit)
        images = _images_in_order(order, job.options)
        if isinstance(images, Failed):
            return images
        names = await self._uploaded(images, job.id)
        if isinstance(names, Failed):
            return names
        seed = spec.seed if spec.seed is not None else randbelow(_SEEDS)
        values = Values(spec=spec, seed=seed, size_word=job.size_word, images=names, prefix=job.id)
        graph = await self._graph(workflow, job.options, values)
        if isinstance(graph, Failed):
            return graph
        request = {"prompt": graph, "prompt_id": prompt_id, "client_id": self._progress.client_id}
        self._progress.watch(prompt_id, graph)
        outcome = await self._submitted(request, prompt_id, seed if fields.seed is not None else None)
        if isinstance(outcome, Failed):
            self._progress.forget(prompt_id)
        return outcome

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        return (await self.poll_many([Asked(handle, job)]))[0]

    async def poll_many(self, asked: Sequence[Asked]) -> Sequence[PollOutcome]:
        queue = await self._queue()
        if isinstance(queue, Unknown):
            return [queue] * len(asked)
        return await asyncio.gather(*(self._standing(each, queue) for each in asked))

    async def find(self, job: Job[Options]) -> FindOutcome:
        prompt_id = job.idempotency_key
        queue = await self._queue()
        if isinstance(queue, Unknown):
            return CannotTell(queue.detail, queue.answer)
        if prompt_id in queue:
            seed = seed_in(queue.graph(prompt_id), job.options.fields)
            return Found(Accepted(_handle(prompt_id, seed), Answer(seed=seed)))
        ended = await self._ended(prompt_id, None, job)
        match ended:
            case Completed() | Failed():
                return Found(ended)
            case Unknown():
                return CannotTell(ended.detail, ended.answer)
        if (datetime.now(UTC) - job.submitted_at).total_seconds() < _ON_ITS_WAY_SECONDS:
            return CannotTell("there is no trace of the order, and it may still be on its way")
        return NeverTaken()

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        prompt_id = str(handle["prompt_id"])
        stopped = await self._stopped(prompt_id)
        if stopped is not None:
            return stopped
        match await self._ended(prompt_id, None, job):
            case None | Failed(FailureClass.CANCELED):
                return Cancellation.FREE
            case _:
                return Cancellation.TOO_LATE

    async def check(self, model: Model, binding: Binding) -> Sequence[Finding]:
        options = binding.options
        assert isinstance(options, Options)
        return await look_at(self._api, self._folder, model, options)

    async def close(self) -> None:
        await self._progress.close()
        await self._api.close()

    async def _workflow(self, options: Options) -> Workflow:
        """The workflow, read when it is first needed: it changes when the catalog is read again. Raises."""
        if options.workflow not in self._workflows:
            self._workflows[options.workflow] = await asyncio.to_thread(read_workflow, self._folder / options.workflow)
        return self._workflows[options.workflow]

    async def _graph(self, workflow: Workflow, options: Options, values: Values) -> dict[str, dict[str, Any]] | Failed:
        """The workflow with an order's values in it, and without what takes images that the order has not."""
        fields = options.fields
        try:
            graph = filled(workflow, options, values)
        except KeyError as error:
            return Failed(FailureClass.PERMANENT, f"{options.workflow} has no node {error.args[0]}")
        slots = zip(fields.images(), values.images, strict=True)
        empty = [(role, split(place)[0]) for (role, places), name in slots if name is None for place in places]
        if not empty:
            return graph
        classes = await read_classes(self._api, (node["class_type"] for node in graph.values()))
        if classes is None:
            return Failed(FailureClass.TRANSIENT, "the server does not tell what its nodes need")
        required = {name: each.required() for name, each in classes.items()}
        rest = without(graph, [node_id for _, node_id in empty], required)
        saving = (
            [fields.output] if fields.output else [key for key in graph if "filename_prefix" in graph[key]["inputs"]]
        )
        if not all(node_id in rest for node_id in saving):
            return Failed(FailureClass.BAD_INPUT, f"the workflow needs one more image of role {empty[0][0]}")
        return rest

    async def _uploaded(self, images: Sequence[Reference | None], job_id: str) -> list[str | None] | Failed:
        """What the server calls the images, once it has them. Nothing is ordered yet, so every failure is one."""
        names: list[str | None] = []
        for index, image in enumerate(images):
            if image is None:
                names.append(None)
                continue
            form = aiohttp.FormData({"type": "input", "overwrite": "true"})
            filename = f"{job_id}-{index}.{EXTENSION_OF_MIME[image.mime_type]}"
            form.add_field("image", image.data, filename=filename, content_type=image.mime_type)
            reply = await self._api.call("POST", "/upload/image", form=form)
            if not isinstance(reply, Reply):
                return Failed(FailureClass.TRANSIENT, f"a reference was not uploaded: {reply.detail}")
            name = _uploaded_name(reply.json()) if reply.is_ok else None
            if name is None:
                return _upload_failure(reply)
            names.append(name)
        return names

    async def _submitted(self, request: dict[str, Any], prompt_id: str, seed: int | None) -> SubmitOutcome:
        reply = await self._api.call("POST", "/prompt", json=request)
        match reply:
            case NotSent():
                return reply.failed()
            case NoReply():
                return reply.unknown()
        body = reply.json()
        if reply.status == 400:
            code, words = refusal_words(body)
            return Failed(
                FailureClass.PERMANENT, "the server refuses the graph", answer=reply.answer(code=code, words=words)
            )
        if not reply.is_ok:
            return failure_of(reply)
        if not isinstance(body, dict) or not isinstance(body.get("prompt_id"), str):
            return Unknown("HTTP success, and no prompt_id in it", reply.answer())
        if body.get("node_errors"):
            # What is left of the graph would run, and give something that was not ordered.
            await self._stopped(body["prompt_id"])
            _, words = refusal_words(body)
            return Failed(
                FailureClass.PERMANENT,
                "the server would leave out a part of the graph",
                answer=reply.answer(code="node_errors", words=words),
            )
        return Accepted(_handle(body["prompt_id"], seed), reply.answer())

    async def _standing(self, asked: Asked, queue: _Queue) -> PollOutcome:
        prompt_id = str(asked.handle["prompt_id"])
        if prompt_id in queue:
            self._absences.forget(prompt_id)
            if prompt_id in queue.running:
                return Pending(self._progress.fraction(prompt_id), stage=Stage.RUNNING)
            return Pending(stage=Stage.QUEUED, place=list(queue.pending).index(prompt_id) + 1)
        ended = await self._ended(prompt_id, asked.handle.get("seed"), asked.job)
        if ended is None:
            if not self._absences.count(prompt_id):
                return Pending()
            ended = Failed(FailureClass.TRANSIENT, "the server lost it: it is in no queue, no history and no file")
        if isinstance(ended, Completed | Failed):
            self._progress.forget(prompt_id)
        self._absences.forget(prompt_id)
        return ended

    async def _ended(self, prompt_id: str, seed: int | None, job: Job[Options]) -> Completed | Failed | Unknown | None:
        """What became of a job that is not in the queue. None: there is no trace of it."""
        reply = await self._api.call("GET", f"/history/{quote(prompt_id, safe='')}", deadline_seconds=_CALL_SECONDS)
        body = _json_object(reply)
        if isinstance(body, Unknown):
            return body
        entry = body.get(prompt_id)
        if isinstance(entry, dict):
            prompt = entry.get("prompt")
            graph = prompt[2] if isinstance(prompt, list) and len(prompt) > 2 else None
            known_seed = seed if seed is not None else seed_in(graph, job.options.fields)
            return self._outcome(entry.get("status"), entry.get("outputs"), known_seed, job)
        return await self._by_file(seed, job)

    def _outcome(self, status: object, outputs: object, seed: int | None, job: Job[Options]) -> Completed | Failed:
        if failure := failure_in(status):
            return failure
        file = result_in(outputs, job.type, job.options.fields.output)
        if file is None:
            words = f"it saved {names_in(outputs)}"
            return Failed(FailureClass.PERMANENT, f"the workflow saved no {job.type}", answer=Answer(words=words))
        return Completed((self._media(file),), Answer(seed=seed))

    async def _by_file(self, seed: int | None, job: Job[Options]) -> Completed | Unknown | None:
        """The result by its name alone: a restart loses the history, and keeps the files."""
        for file in expected_files(job.id, job.type):
            reply = await self._api.call("GET", f"/{file.path}", headers={"Range": "bytes=0-0"})
            if not isinstance(reply, Reply) or reply.status >= 500:
                return Unknown("the server does not say whether it has the file")
            if reply.is_ok:
                return Completed((self._media(file),), Answer(seed=seed))
        return None

    def _media(self, file: SavedFile) -> RemoteFile:
        return self._api.file(file.path, with_key=True)

    async def _queue(self) -> _Queue | Unknown:
        body = _json_object(await self._api.call("GET", "/queue", deadline_seconds=_CALL_SECONDS))
        if isinstance(body, Unknown):
            return body
        running, pending = (_items(body.get(name)) for name in ("queue_running", "queue_pending"))
        return _Queue(
            {str(item[1]): item[2] for item in running},
            {str(item[1]): item[2] for item in sorted(pending, key=lambda item: item[0])},
        )

    async def _stopped(self, prompt_id: str) -> Cancellation | None:
        """Stop a job by where it stands. None: it is in the queue no more.

        Only what runs is interrupted: the server would not mind whose job that is.
        """
        queue = await self._queue()
        if isinstance(queue, _Queue) and prompt_id in queue.pending:
            await self._api.call("POST", "/queue", json={"delete": [prompt_id]})
            queue = await self._queue()
        if isinstance(queue, Unknown):
            return Cancellation.TOO_LATE
        if prompt_id in queue.running:
            reply = await self._api.call("POST", "/interrupt", json={"prompt_id": prompt_id})
            is_asked = isinstance(reply, NoReply) or (isinstance(reply, Reply) and reply.is_ok)
            return Cancellation.ASKED if is_asked else Cancellation.TOO_LATE
        return Cancellation.TOO_LATE if prompt_id in queue.pending else None


def _handle(prompt_id: str, seed: int | None) -> Handle:
    return {"prompt_id": prompt_id} | ({} if seed is None else {"seed": seed})


def _images_in_order(order: Order, options: Options) -> list[Reference | None] | Failed:
    """A reference for each place of the map, or None."""
    waiting = list(order.references)
    found: list[Reference | None] = []
    for role, _ in options.fields.images():
        image = next((each for each in waiting if each.role == role), None)
        if image is not None:
            waiting.remove(image)
        found.append(image)
    if waiting:
        return Failed(FailureClass.BAD_INPUT, f"the workflow has no place for an image of role {waiting[0].role}")
    return found


def _upload_failure(reply: Reply) -> Failed:
    """Why a reference was not taken: what a client asked for has no part in it."""
    failure = failure_of(reply)
    reason = failure.reason if isinstance(failure, Failed) else FailureClass.TRANSIENT
    if reason is FailureClass.BAD_INPUT:
        reason = FailureClass.PERMANENT
    return Failed(reason, "a reference was not uploaded", answer=reply.answer())


def _uploaded_name(body: object) -> str | None:
    """What a node takes the file by. It can differ from the name that was sent."""
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        return None
    subfolder, folder = body.get("subfolder"), body.get("type")
    name = f"{subfolder}/{body['name']}" if subfolder else body["name"]
    return f"{name} [{folder}]" if folder not in (None, "", "input") else name


def _json_object(reply: Reply | NotSent | NoReply) -> dict[str, Any] | Unknown:
    """An answer's object. Anything else says nothing of a job."""
    if not isinstance(reply, Reply):
        return Unknown(reply.detail)
    body = reply.json()
    if not reply.is_ok or not isinstance(body, dict):
        return Unknown(f"HTTP {reply.status} says nothing of the job", reply.answer())
    return body


def _items(entries: object) -> list[list[Any]]:
    """Jobs of a queue: number, id, graph."""
    listed = entries if isinstance(entries, list) else []
    return [item for item in listed if isinstance(item, list) and len(item) > 2 and isinstance(item[0], int | float)]
