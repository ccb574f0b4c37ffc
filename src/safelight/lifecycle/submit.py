"""Step one: from a request to an accepted generation.

The request is checked, its references gathered and kept, and then one transaction does the rest (``accept``). Nothing
is accepted in part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import msgspec
import structlog
from psycopg.errors import UniqueViolation

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
from safelight.domain.ids import new_generation_id
from safelight.domain.media import EXTENSION_OF_MIME, Reference, ReferenceRole
from safelight.domain.object_keys import input_key
from safelight.domain.pricing import Price, price_of
from safelight.domain.request import Request, Spec, StoredReference, resolve
from safelight.domain.scope import Principal
from safelight.lifecycle.accept import Accepted, Ready, accept
from safelight.lifecycle.notify import announce, ensure_request_secret
from safelight.lifecycle.refusals import COUNTED
from safelight.lifecycle.services import SubmitServices
from safelight.node.killpoints import killpoint
from safelight.webhooks.sender import read_webhook_url

log = structlog.get_logger()

_IDEMPOTENCY_KEY = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
MIN_RETENTION_SECONDS = 60
DELIVERED_ONCE_SECONDS = 3600


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A request with who sent it. ``retry_count`` is the client's own count of its repeats of this request."""

    principal: Principal
    request: Request
    body_sha256: bytes
    idempotency_key: str | None = None
    retry_count: int = 0


class KeyUse(msgspec.Struct, frozen=True):
    """What an idempotency key was used for."""

    generation_id: str
    body_sha256: bytes


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was found good, with its defaults applied and its exact price. ``webhook_url`` in one spelling."""

    spec: Spec
    price: Price
    retention_seconds: int
    webhook_url: str | None


def quote(services: SubmitServices, principal: Principal, request: Request) -> Checked:
    """The request as it would be accepted, and its exact price. Refuses what ``submit`` refuses without asking anybody.

    What lies behind an image's URL or its first bytes, and what the content check says, is left to the generation.
    """
    checked = _checked(services, principal, request)
    services.references.check(_images(request))
    return checked


def _checked(services: SubmitServices, principal: Principal, request: Request) -> Checked:
    """Check all but the images, which are checked as they are gathered."""
    model = services.catalog.for_type(request.model, request.type)
    spec = resolve(request, model)
    price = price_of(model, resolution=spec.resolution, sound=spec.sound, quantity=spec.duration_seconds or 1)
    retention_seconds = _retention_seconds(services, principal, request)
    url = request.webhook_url
    if url is not None:
        url = read_webhook_url(url, services.webhook_policy)
    return Checked(spec=spec, price=price, retention_seconds=retention_seconds, webhook_url=url)


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
    checked = _checked(services, submission.principal, submission.request)
    if checked.webhook_url is not None:
        await ensure_request_secret(services.db, submission.principal.workspace_id)
    generation_id = new_generation_id()
    await _moderate(services, submission)
    spec = await _keep_references(services, generation_id, submission, checked.spec)
    killpoint("references-after-store")
    try:
        if has_left():
            raise GenerationFailed("The client left before the request was accepted.")
        return await accept(services, _ready(services, submission, generation_id, spec, checked))
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


def check_idempotency_key(key: str | None, param: str = "Idempotency-Key") -> None:
    if key is not None and _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise InvalidParameter("An idempotency key has 1 to 255 characters and no control characters.", param=param)


async def key_use(services: SubmitServices, workspace_id: int, key: str) -> KeyUse | None:
    """What an idempotency key stands for in a workspace; None if it is free."""
    return await services.db.one("find_idempotency_key", {"workspace_id": workspace_id, "key": key}, KeyUse)


async def _earlier_attempt(services: SubmitServices, submission: Submission) -> str | None:
    principal = submission.principal
    if submission.idempotency_key is not None:
        use = await key_use(services, principal.workspace_id, submission.idempotency_key)
        if use and use.body_sha256 != submission.body_sha256:
            raise IdempotencyConflict
        return use.generation_id if use else None
    if submission.retry_count > 0:
        keyed = {"api_key_id": principal.key_id, "body_sha256": submission.body_sha256}
        row = await services.db.one("find_earlier_attempt", keyed, tuple)
        return row[0] if row else None
    return None


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
    payload = {"category": category, "param": param}
    await announce(services.db, submission.principal.workspace_id, EventType.MODERATION_REFUSED, payload)
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


def _ready(services: SubmitServices, submission: Submission, generation_id: str, spec: Spec, checked: Checked) -> Ready:
    request, principal = submission.request, submission.principal
    return Ready(
        id=generation_id,
        workspace_id=principal.workspace_id,
        api_key_id=principal.key_id,
        is_capped=principal.is_capped,
        type=request.type,
        model=request.model,
        spec=spec,
        price=checked.price,
        first_binding=services.catalog.models[request.model].bindings[0],
        body_sha256=submission.body_sha256,
        idempotency_key=submission.idempotency_key,
        retention_seconds=checked.retention_seconds,
        is_stored=request.store,
        webhook_url=checked.webhook_url,
    )


async def _drop_references(services: SubmitServices, spec: Spec) -> None:
    if spec.references:
        await services.store.delete([reference.key for reference in spec.references])


def _retention_seconds(services: SubmitServices, principal: Principal, request: Request) -> int:
    """How long the media is kept: as asked, up to the workspace's maximum; an hour at most if delivered once."""
    limits = services.limits
    most = principal.retention_max_seconds or limits.retention_max_seconds
    asked = request.retention_seconds
    if asked is not None and not MIN_RETENTION_SECONDS <= asked <= most:
        raise InvalidParameter(
            f"retention_seconds {asked} is out of range. Use {MIN_RETENTION_SECONDS} to {most}.",
            param="retention_seconds",
        )
    seconds = asked or min(limits.retention_seconds, most)
    return seconds if request.store else min(seconds, DELIVERED_ONCE_SECONDS)
