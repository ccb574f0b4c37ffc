"""Step one: from a request to an accepted generation.

The request is checked, its references gathered and kept, and then one transaction does the rest (``accept``). Nothing
is accepted in part; a request for several generations is accepted for all of them or for none.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence

import msgspec
import structlog
from psycopg.errors import UniqueViolation

from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    IdempotencyConflict,
    InvalidParameter,
    NotFound,
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
from safelight.telemetry import spans
from safelight.telemetry.names import GENERATION_ID
from safelight.webhooks.sender import read_webhook_url

log = structlog.get_logger()

_IDEMPOTENCY_KEY = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
MIN_RETENTION_SECONDS = 60
DELIVERED_ONCE_SECONDS = 3600
_CALM_SECONDS = 1.5
_STORE_SECONDS = 20.0


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A request with who sent it. ``retry_count`` is the client's own count of its repeats of this request.

    ``end_user``: what the client calls whom it asks for; only its keyed hash is kept. ``remixed_from``: the id of the
    generation that this is to be another take of. ``way_in``: how the request came, such as ``v2``.
    """

    principal: Principal
    request: Request
    body_sha256: bytes
    idempotency_key: str | None = None
    retry_count: int = 0
    end_user: str | None = None
    remixed_from: str | None = None
    way_in: str | None = None


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
    return (await submit_all(services, submission, 1, has_left=has_left))[0]


async def submit_all(
    services: SubmitServices, submission: Submission, count: int, *, has_left: Callable[[], bool] = lambda: False
) -> list[Accepted]:
    """As ``submit``, for so many generations: of those that are no repeats all are accepted, or none is.

    Each is repeated by itself: a repeat of the request finds those that are under way or were made, and accepts anew
    what failed through us.
    """
    request = submission.request
    try:
        with spans.submit(request.type, request.model, submission.principal.workspace_id) as span:
            accepted = await _submit([part_of(submission, index) for index in range(count)], services, has_left)
            span.set(GENERATION_ID, accepted[0].id)
            return accepted
    except COUNTED as refusal:
        services.refusals.count(submission.principal, submission.request, refusal, way_in=submission.way_in)
        raise


def part_of(submission: Submission, index: int) -> Submission:
    """One generation of a request for several, known by a digest and a key of its own.

    No client's key has control characters, so that none is that of a part.
    """
    if index == 0:
        return submission
    key = submission.idempotency_key
    if key is not None:
        check_idempotency_key(key)
        key = f"\x1f{index}\x1f{hashlib.sha256(key.encode()).hexdigest()}"
    digest = hashlib.sha256(b"%d\n" % index + submission.body_sha256).digest()
    return msgspec.structs.replace(submission, body_sha256=digest, idempotency_key=key)


async def _submit(
    parts: Sequence[Submission], services: SubmitServices, has_left: Callable[[], bool]
) -> list[Accepted]:
    first = parts[0]
    check_idempotency_key(first.idempotency_key)
    found = await _earlier_attempts(services, parts)
    missing = [part for part, earlier in zip(parts, found, strict=True) if earlier is None]
    if not missing:
        return _joined(found, [])
    checked = _checked(services, first.principal, first.request)
    if checked.webhook_url is not None:
        await ensure_request_secret(services.db, first.principal.workspace_id)
    ids = [new_generation_id() for _ in missing]
    await _moderate(services, first)
    specs = await _keep_references(services, ids, first, checked.spec)
    killpoint("references-after-store")
    try:
        if has_left():
            raise GenerationFailed("The client left before the request was accepted.")
        ready = [
            await _ready(services, part, id_, spec, checked)
            for part, id_, spec in zip(missing, ids, specs, strict=True)
        ]
        return _joined(found, await accept(services, ready))
    except (UniqueViolation, QuotaExceeded, RateLimited) as refusal:
        # What stands in the way may be this very request, sent at the same time.
        await _drop_references(services, specs)
        found = await _earlier_attempts(services, parts)
        if None not in found:
            return _joined(found, [])
        if isinstance(refusal, UniqueViolation):
            raise ServiceUnavailable from None
        raise
    except ServiceUnavailable:
        raise  # it may be on record after all: what it refers to stays, for the sweep if need be
    except SafelightError:
        await _drop_references(services, specs)
        raise


def _joined(found: Sequence[str | None], accepted: Sequence[Accepted]) -> list[Accepted]:
    """Earlier attempts where they were found, and what was accepted in the other places."""
    rest = iter(accepted)
    return [next(rest) if earlier is None else Accepted(id=earlier, is_replay=True) for earlier in found]


def check_idempotency_key(key: str | None, param: str = "Idempotency-Key") -> None:
    if key is not None and _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise InvalidParameter("An idempotency key has 1 to 255 characters and no control characters.", param=param)


async def key_use(services: SubmitServices, workspace_id: int, key: str) -> KeyUse | None:
    """What an idempotency key stands for in a workspace; None if it is free."""
    return await services.db.one("find_idempotency_key", {"workspace_id": workspace_id, "key": key}, KeyUse)


async def _earlier_attempts(services: SubmitServices, parts: Sequence[Submission]) -> list[str | None]:
    """The earlier attempt of each. They came on record together: where some are, all are looked for once they are."""
    found = [await _earlier_attempt(services, part) for part in parts]
    if any(found):
        found = [earlier or await _earlier_attempt(services, part) for part, earlier in zip(parts, found, strict=True)]
    return found


async def _earlier_attempt(services: SubmitServices, submission: Submission) -> str | None:
    principal = submission.principal
    if submission.idempotency_key is not None:
        use = await key_use(services, principal.workspace_id, submission.idempotency_key)
        if use and use.body_sha256 != submission.body_sha256:
            raise IdempotencyConflict
        return use.generation_id if use else None
    if submission.retry_count > 0:
        await services.db.calm(_CALM_SECONDS)  # the attempt may only now be put on record as one that nobody saw
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


async def _keep_references(
    services: SubmitServices, generation_ids: Sequence[str], submission: Submission, spec: Spec
) -> list[Spec]:
    """The spec for each generation, with references of its own."""
    request = submission.request
    if not request.images and not request.references:
        return [spec for _ in generation_ids]
    gathered = [
        *await services.references.gather(_images(request)),
        *[await _copy(services, kept) for kept in request.references],
    ]
    if services.moderator is not None:
        category = await services.moderator.check_images(gathered, submission.principal.workspace)
        if category is not None:
            raise await _refused(services, submission, category, "images")
    specs = []
    for generation_id in generation_ids:
        stored = [await _keep(services, generation_id, i, reference) for i, reference in enumerate(gathered)]
        specs.append(msgspec.structs.replace(spec, references=tuple(stored)))
    return specs


def _images(request: Request) -> list[tuple[str, ReferenceRole, str]]:
    return [(image.url, image.role or "reference_image", f"images[{i}].url") for i, image in enumerate(request.images)]


async def _copy(services: SubmitServices, kept: StoredReference) -> Reference:
    try:
        data = await services.store.get(kept.key)
    except FileNotFoundError:
        raise NotFound(
            "The reference images of that generation are no longer kept. Make a new one, and send them again."
        ) from None
    return Reference(role=kept.role, mime_type=kept.mime_type, data=data)


async def _keep(services: SubmitServices, generation_id: str, index: int, reference: Reference) -> StoredReference:
    key = input_key(generation_id, index, EXTENSION_OF_MIME[reference.mime_type])
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            await services.store.put(key, reference.data, mime_type=reference.mime_type)
    except TimeoutError:
        raise ServiceUnavailable(detail=f"The media store took no reference image in {_STORE_SECONDS:g} s.") from None
    return StoredReference(role=reference.role, mime_type=reference.mime_type, key=key)


async def _ready(
    services: SubmitServices, submission: Submission, generation_id: str, spec: Spec, checked: Checked
) -> Ready:
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
        end_user=await _hashed(services, principal, submission.end_user),
        remixed_from=submission.remixed_from,
        way_in=submission.way_in,
    )


async def _hashed(services: SubmitServices, principal: Principal, end_user: str | None) -> str | None:
    """What stands for an end user: the same for the same name in one workspace, and telling nothing of it."""
    if end_user is None:
        return None
    workspace = {"workspace_id": principal.workspace_id}
    row = await services.db.one("find_end_user_key", workspace, tuple)
    if row is None or row[0] is None:
        row = await services.db.one("make_end_user_key", {**workspace, "fresh": secrets.token_bytes(32)}, tuple)
    if row is None:
        raise ServiceUnavailable
    return hmac.digest(row[0], end_user.encode(), "sha256").hex()


async def _drop_references(services: SubmitServices, specs: Sequence[Spec]) -> None:
    if keys := [reference.key for spec in specs for reference in spec.references]:
        await services.store.delete(keys)


def most_retention_seconds(services: SubmitServices, principal: Principal) -> int:
    """How long media of the workspace may be kept."""
    return principal.retention_max_seconds or services.limits.retention_max_seconds


def _retention_seconds(services: SubmitServices, principal: Principal, request: Request) -> int:
    """How long the media is kept: as asked, up to the workspace's maximum; an hour at most if delivered once."""
    most = most_retention_seconds(services, principal)
    asked = request.retention_seconds
    if asked is not None and not MIN_RETENTION_SECONDS <= asked <= most:
        raise InvalidParameter(
            f"retention_seconds {asked} is out of range. Use {MIN_RETENTION_SECONDS} to {most}.",
            param="retention_seconds",
        )
    seconds = asked or min(services.limits.retention_seconds, most)
    return seconds if request.store else min(seconds, DELIVERED_ONCE_SECONDS)
