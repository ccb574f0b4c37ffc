"""Step one: from a request to an accepted generation.

The request is checked, its references gathered and kept, and then one transaction does the rest: idempotency, rate
limits, the hold, the row, and for a video the job. Nothing is accepted in part.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping

import msgspec
import structlog
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from safelight.db.pool import Connection, one
from safelight.domain.catalog import Model
from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    IdempotencyConflict,
    InvalidParameter,
    QuotaExceeded,
    RateLimited,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.events import EventType
from safelight.domain.generations import GenerationType
from safelight.domain.ids import new_generation_id
from safelight.domain.media import EXTENSION_OF_MIME, Reference, ReferenceRole
from safelight.domain.object_keys import input_key
from safelight.domain.pricing import Price, price_of
from safelight.domain.request import Request, Spec, StoredReference, resolve
from safelight.domain.scope import Principal
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.notify import announce, request_webhook_url
from safelight.lifecycle.refusals import COUNTED
from safelight.lifecycle.services import RateWindow, SubmitServices
from safelight.node.killpoints import killpoint

log = structlog.get_logger()

_IDEMPOTENCY_KEY = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_TRIES = 3
_LOST_ANSWER_PAUSES_SECONDS = (0.1, 0.3, 1.0, 2.0)
MIN_RETENTION_SECONDS = 60
DELIVERED_ONCE_SECONDS = 3600


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A request with who sent it. ``retry_count`` is the client's own count of its repeats of this request."""

    principal: Principal
    request: Request
    body_sha256: bytes
    idempotency_key: str | None = None
    retry_count: int = 0


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A generation under way. ``claim``: the caller is to run it. ``is_replay``: it is an earlier attempt."""

    id: str
    claim: Claim | None = None
    is_replay: bool = False
    window: RateWindow | None = None


class _Window(msgspec.Struct, frozen=True, kw_only=True):
    rate_limit: int
    rate_used: int
    rate_reset: int


class _Limits(_Window, frozen=True, kw_only=True):
    available_nanos: int
    in_flight: int
    concurrency: int
    reset_in_seconds: float


class _EarlierUse(msgspec.Struct, frozen=True):
    generation_id: str
    body_sha256: bytes


def quote(services: SubmitServices, request: Request) -> tuple[Spec, Price]:
    """The request with its defaults applied, and its exact price. Checks all but what lies behind an image's URL."""
    spec, price = _resolved(services, request)
    services.references.check(_images(request))
    return spec, price


def _resolved(services: SubmitServices, request: Request) -> tuple[Spec, Price]:
    model = services.catalog.for_type(request.model, request.type)
    spec = resolve(request, model)
    quantity = spec.duration_seconds or 1
    return spec, price_of(model, resolution=spec.resolution, sound=spec.sound, quantity=quantity)


async def submit(
    services: SubmitServices, submission: Submission, *, has_left: Callable[[], bool] = lambda: False
) -> Accepted:
    """Accept a request, or find the earlier attempt that it repeats.

    A request whose client has left meanwhile (``has_left``) is not accepted: its repeat would find nothing to join.

    Raises what is wrong with the request, ``QuotaExceeded``, ``RateLimited`` or ``IdempotencyConflict``; then nothing
    was held, and no idempotency key was used up.
    """
    try:
        return await _submit(services, submission, has_left)
    except COUNTED as refusal:
        services.refusals.count(submission.principal, submission.request, refusal)
        raise


async def _submit(services: SubmitServices, submission: Submission, has_left: Callable[[], bool]) -> Accepted:
    check_idempotency_key(submission.idempotency_key)
    if earlier := await _earlier_attempt(services, submission):
        return Accepted(id=earlier, is_replay=True)
    spec, price = _resolved(services, submission.request)
    submission = await _with_webhook_url(services, submission)
    generation_id = new_generation_id()
    await _moderate(services, submission)
    spec = await _keep_references(services, generation_id, submission, spec)
    killpoint("references-after-store")
    try:
        if has_left():
            raise GenerationFailed("The client left before the request was accepted.")
        return await _accept(services, submission, generation_id, spec, price)
    except (UniqueViolation, QuotaExceeded, RateLimited) as refusal:
        # What stands in the way may be this very request, sent at the same time.
        await _drop_references(services, spec)
        if earlier := await _earlier_attempt(services, submission):
            return Accepted(id=earlier, is_replay=True)
        if isinstance(refusal, UniqueViolation):
            raise ServiceUnavailable from None
        raise
    except ServiceUnavailable:
        raise  # it may be on record after all: what it refers to stays, for the sweep if need be
    except SafelightError:
        await _drop_references(services, spec)
        raise


def check_idempotency_key(key: str | None) -> None:
    if key is not None and _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise InvalidParameter(
            "An idempotency key has 1 to 255 characters and no control characters.", param="Idempotency-Key"
        )


async def rate_window(services: SubmitServices, workspace_id: int, type_: GenerationType) -> RateWindow | None:
    """How the workspace's rate window for a type stands."""
    row = await services.db.one("limits", _limit_params(services, workspace_id, type_), _Limits)
    return _rate_window(row) if row else None


async def _earlier_attempt(services: SubmitServices, submission: Submission) -> str | None:
    principal = submission.principal
    if submission.idempotency_key is not None:
        params = {"workspace_id": principal.workspace_id, "key": submission.idempotency_key}
        use = await services.db.one("find_idempotency_key", params, _EarlierUse)
        if use and use.body_sha256 != submission.body_sha256:
            raise IdempotencyConflict
        return use.generation_id if use else None
    if submission.retry_count > 0:
        keyed = {"api_key_id": principal.key_id, "body_sha256": submission.body_sha256}
        row = await services.db.one("find_earlier_attempt", keyed, tuple)
        return row[0] if row else None
    return None


async def _with_webhook_url(services: SubmitServices, submission: Submission) -> Submission:
    url = submission.request.webhook_url
    if url is None:
        return submission
    url = await request_webhook_url(services, submission.principal.workspace_id, url)
    return msgspec.structs.replace(submission, request=msgspec.structs.replace(submission.request, webhook_url=url))


async def _moderate(services: SubmitServices, submission: Submission) -> None:
    """Refuse what the operator's content check refuses, before anything is held."""
    if services.moderator is None:
        return
    category = await services.moderator.check_prompt(submission.request.prompt, submission.principal.workspace)
    if category is not None:
        raise await _refused(services, submission, category, "prompt")


async def _refused(
    services: SubmitServices, submission: Submission, category: str, param: str
) -> ContentPolicyViolation:
    log.info("refused by moderation", workspace=submission.principal.workspace, category=category, param=param)
    told = {"category": category, "param": param}
    await announce(services.db, submission.principal.workspace_id, EventType.MODERATION_REFUSED, told)
    return ContentPolicyViolation(
        f"The request was refused by the content policy (category: {category}). Change the {param}.", param=param
    )


async def _keep_references(services: SubmitServices, generation_id: str, submission: Submission, spec: Spec) -> Spec:
    request = submission.request
    if not request.images:
        return spec
    gathered = await services.references.gather(_images(request))
    if services.moderator is not None:
        category = await services.moderator.check_images(gathered, submission.principal.workspace)
        if category is not None:
            raise await _refused(services, submission, category, "images")
    stored = [await _keep(services, generation_id, i, reference) for i, reference in enumerate(gathered)]
    return msgspec.structs.replace(spec, references=tuple(stored))


def _images(request: Request) -> list[tuple[str, ReferenceRole, str]]:
    return [(image.url, image.role or "reference_image", f"images[{i}].url") for i, image in enumerate(request.images)]


async def _keep(services: SubmitServices, generation_id: str, index: int, reference: Reference) -> StoredReference:
    key = input_key(generation_id, index, EXTENSION_OF_MIME[reference.mime_type])
    path = services.work_dir / f"{generation_id}-{index}"
    try:
        await asyncio.to_thread(path.write_bytes, reference.data)
        await services.store.put(key, path, mime_type=reference.mime_type)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)
    return StoredReference(role=reference.role, mime_type=reference.mime_type, key=key)


async def _drop_references(services: SubmitServices, spec: Spec) -> None:
    if spec.references:
        await services.store.delete([reference.key for reference in spec.references])


async def _accept(
    services: SubmitServices, submission: Submission, generation_id: str, spec: Spec, price: Price
) -> Accepted:
    request, principal = submission.request, submission.principal
    is_image = request.type is GenerationType.IMAGE
    model = services.catalog.models[request.model]
    params = {
        **_limit_params(services, principal.workspace_id, request.type),
        "id": generation_id,
        "api_key_id": principal.key_id,
        "model": request.model,
        "request": Jsonb(spec),
        "body_sha256": submission.body_sha256,
        "idempotency_key": submission.idempotency_key,
        "billable_unit": price.billable_unit,
        "unit_price_nanos": price.unit_price_nanos,
        "quantity": price.quantity,
        "held_nanos": price.total_nanos,
        # An image is run by the process that accepts it: the row is born claimed, its intent on record.
        "run_token": uuid.uuid4() if is_image else None,
        "lease_seconds": services.limits.lease_seconds,
        "deadline_seconds": _deadline_seconds(services, request.type),
        "retention_seconds": _retention_seconds(services, submission),
        "is_stored": request.store,
        "webhook_url": request.webhook_url,
        "low_balance_nanos": services.limits.low_balance_nanos,
    }
    for _ in range(_TRIES):
        try:
            row = await _insert(services, params, model, principal)
        except ServiceUnavailable:
            if not await _is_accepted(services, params):
                raise
            return Accepted(id=generation_id, claim=Claim.of_new_image(params, spec) if is_image else None)
        if row is not None:
            killpoint("submit-after-commit")
            return Accepted(
                id=generation_id,
                claim=Claim.of_new_image(params, spec) if is_image else None,
                window=_rate_window(row),
            )
        await _explain_refusal(services, params)
    raise ServiceUnavailable  # the account changed each time between the refusal and the question why


async def _insert(
    services: SubmitServices, params: dict[str, object], model: Model, principal: Principal
) -> _Window | None:
    async with services.db.connection() as connection:
        if model.type is GenerationType.IMAGE and not principal.is_capped:
            killpoint("submit-before-commit")
            return await one(connection, "submit", params, _Window)  # one statement: its own transaction
        async with connection.transaction(), connection.pipeline():
            row = await one(connection, "submit", params, _Window)
            if row is not None and principal.is_capped:
                await _spend_from_key(connection, params)
            if row is not None and model.type is GenerationType.VIDEO:
                await services.enqueue(connection, str(params["id"]), model.id)
            killpoint("submit-before-commit")
        return row


async def _is_accepted(services: SubmitServices, params: Mapping[str, object]) -> bool:
    """Whether a submission whose answer was lost with the connection is on record all the same."""
    for pause in _LOST_ANSWER_PAUSES_SECONDS:
        await asyncio.sleep(pause)
        try:
            asked = {"id": params["id"], "workspace_id": params["workspace_id"]}
            return await services.db.lookup("find_generation", asked, dict) is not None
        except ServiceUnavailable:
            continue
    return False


async def _spend_from_key(connection: Connection, params: dict[str, object]) -> None:
    if not await one(connection, "spend_from_key", params, tuple):
        raise QuotaExceeded("This API key has reached its spend cap. Use another key, or raise the cap.")


async def _explain_refusal(services: SubmitServices, params: dict[str, object]) -> None:
    """Raise what stood in the way; return if nothing does any more."""
    row = await services.db.one("limits", params, _Limits)
    if row is None:
        raise ServiceUnavailable
    if row.rate_used >= row.rate_limit:
        raise RateLimited(
            f"The limit of {row.rate_limit} {params['type']} generations a minute is reached.",
            retry_after_seconds=row.reset_in_seconds,
        )
    if row.in_flight >= row.concurrency:
        raise RateLimited(f"{row.in_flight} generations are under way, the most at once. Wait for one to end.")
    if row.available_nanos < int(str(params["held_nanos"])):
        raise QuotaExceeded


def _limit_params(services: SubmitServices, workspace_id: int, type_: GenerationType) -> dict[str, object]:
    return {
        "workspace_id": workspace_id,
        "type": str(type_),
        "default_rpm": services.limits.rpm(type_),
        "default_concurrency": services.limits.concurrency,
    }


def _deadline_seconds(services: SubmitServices, type_: GenerationType) -> int:
    limits = services.limits
    return limits.image_deadline_seconds if type_ is GenerationType.IMAGE else limits.video_deadline_seconds


def _retention_seconds(services: SubmitServices, submission: Submission) -> int:
    """How long the media is kept: as asked, up to the workspace's maximum; an hour at most if delivered once."""
    limits, request = services.limits, submission.request
    most = submission.principal.retention_max_seconds or limits.retention_max_seconds
    asked = request.retention_seconds
    if asked is not None and not MIN_RETENTION_SECONDS <= asked <= most:
        raise InvalidParameter(
            f"retention_seconds {asked} is out of range. Use {MIN_RETENTION_SECONDS} to {most}.",
            param="retention_seconds",
        )
    seconds = asked or min(limits.retention_seconds, most)
    return seconds if request.store else min(seconds, DELIVERED_ONCE_SECONDS)


def _rate_window(row: _Window) -> RateWindow:
    return RateWindow(limit=row.rate_limit, used=row.rate_used, reset=row.rate_reset)
