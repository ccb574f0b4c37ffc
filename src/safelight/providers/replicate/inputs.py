"""A prediction's input. Reference images go within it, or as files that are uploaded first, or by a link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.domain.field_map import filled
from safelight.domain.media import EXTENSION_OF_MIME, Reference
from safelight.domain.outcomes import Failed, FailureClass, Unknown
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.outbound.multipart import FilePart, multipart
from safelight.providers.replicate.failures import refusal_of
from safelight.providers.replicate.settings import Options, Settings

INLINE_BYTES = 256 * 1024
"""A file over this is not to go within an order."""

_CLIENTS = ("prompt", "negative_prompt", "seed")
_PICTURES = ("references", "reference", "first_frame", "last_frame")


async def input_of(order: Order, job: Job[Options], *, api: BackendApi, settings: Settings) -> dict[str, Any] | Failed:
    """The input that says all of the order. What cannot be said is found before anything is uploaded."""
    options, size_word = job.options, job.size_word
    nowhere = [""] * len(order.references)
    said = filled(options.fields, order, size_word, fixed=options.input, urls=nowhere)
    if isinstance(said, Failed):
        return said
    urls: list[str] = []
    for index, reference in enumerate(order.references):
        url = await _address_of(reference, index, job, api=api, settings=settings)
        if isinstance(url, Failed):
            return url
        urls.append(url)
    return filled(options.fields, order, size_word, fixed=options.input, urls=urls)


def clients_own(order_options: Mapping[str, Any], options: Options, settings: Settings) -> frozenset[str]:
    """The keys of the input whose values the client chose. A link that cannot be followed is none of its doing."""
    names = _CLIENTS if settings.references == "link" else (*_CLIENTS, *_PICTURES)
    places = options.fields.places()
    return frozenset(places[name].partition(".")[0] for name in names if name in places) | order_options.keys()


async def _address_of(
    reference: Reference, index: int, job: Job[Options], *, api: BackendApi, settings: Settings
) -> str | Failed:
    match settings.references:
        case "link":
            return job.reference_url(index)
        case "inline":
            return reference.data_url()
        case "auto" if len(reference.data) <= INLINE_BYTES:
            return reference.data_url()
        case _:
            return await _uploaded(reference, api=api, settings=settings)


async def _uploaded(reference: Reference, *, api: BackendApi, settings: Settings) -> str | Failed:
    """The address of the file there. Nothing is ordered yet: whatever goes wrong, the order may be given again."""
    name = f"reference.{EXTENSION_OF_MIME[reference.mime_type]}"
    body, content_type = multipart((), [FilePart("content", name, reference.mime_type, reference.data)])
    reply = await api.call("POST", "/files", body=body, headers={"Content-Type": content_type})
    if not isinstance(reply, Reply):
        return Failed(FailureClass.TRANSIENT, f"a reference image was not uploaded: {reply.detail}")
    if not reply.is_ok:
        match refusal_of(reply, settings, ()):
            case Failed() as refused:
                return refused
            case Unknown() as unknown:
                return Failed(FailureClass.TRANSIENT, "a reference image was not uploaded", answer=unknown.answer)
    told = reply.json()
    urls = told.get("urls") if isinstance(told, dict) else None
    url = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return Failed(FailureClass.TRANSIENT, "an upload came without the file's address", answer=reply.answer())
    return url
