"""From the ``images`` of a request to clean references."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from safelight.domain.errors import InvalidParameter, SafelightError
from safelight.domain.media import MimeType, Reference, ReferenceRole
from safelight.references.data_url import (
    bare_base64_refused,
    is_data_url,
    looks_like_bare_base64,
    parse_data_url,
)

MAX_IMAGES = 8
MAX_TOTAL_BYTES = 128 * 1024 * 1024
"""Clean bytes that one request may bring in all its images."""


class Fetcher(Protocol):
    """Brings the bytes of an address."""

    def check(self, url: str, param: str) -> None: ...

    async def fetch(self, url: str, param: str) -> bytes: ...


class Decoder(Protocol):
    """Makes a clean file of a stranger's bytes."""

    def check(self, data: bytes, declared: str | None, param: str) -> None: ...

    async def clean(self, data: bytes, declared: str | None, param: str) -> tuple[MimeType, bytes]: ...


class ReferenceGatherer:
    """Brings, checks and cleans what a request names, all images at once."""

    def __init__(self, fetcher: Fetcher, decoder: Decoder) -> None:
        self._fetcher = fetcher
        self._decoder = decoder

    def check(self, images: Sequence[tuple[str, ReferenceRole, str]]) -> None:
        """Refuse what can be refused without fetching or decoding anything. Raises ``InvalidParameter``."""
        _check_count(images)
        for url, _, param in images:
            if is_data_url(url):
                declared, data = parse_data_url(url, param)
                self._decoder.check(data, declared, param)
            elif looks_like_bare_base64(url):
                raise bare_base64_refused(param)
            else:
                self._fetcher.check(url, param)

    async def gather(self, images: Sequence[tuple[str, ReferenceRole, str]]) -> tuple[Reference, ...]:
        """The references of ``(url, role, param)``, in order; errors name ``param`` (``images[0].url``).

        Every image is seen through, and of several errors the first in the list's order is raised, so the
        answer does not depend on which address is fastest. Raises ``InvalidParameter`` and
        ``ServiceUnavailable``.
        """
        _check_count(images)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._settled(*image)) for image in images]
        references: list[Reference] = []
        for task in tasks:
            result = task.result()
            if isinstance(result, SafelightError):
                raise result
            references.append(result)
        if sum(len(reference.data) for reference in references) > MAX_TOTAL_BYTES:
            raise InvalidParameter("The images are over the limit of 128 MiB in all.", param="images")
        return tuple(references)

    async def _settled(self, url: str, role: ReferenceRole, param: str) -> Reference | SafelightError:
        try:
            mime_type, data = await self._one(url, param)
        except SafelightError as error:
            return error
        return Reference(role=role, mime_type=mime_type, data=data)

    async def _one(self, url: str, param: str) -> tuple[MimeType, bytes]:
        if is_data_url(url):
            declared, data = parse_data_url(url, param)
            return await self._decoder.clean(data, declared, param)
        if looks_like_bare_base64(url):
            raise bare_base64_refused(param)
        return await self._decoder.clean(await self._fetcher.fetch(url, param), None, param)


def _check_count(images: Sequence[tuple[str, ReferenceRole, str]]) -> None:
    if len(images) > MAX_IMAGES:
        raise InvalidParameter(f"At most {MAX_IMAGES} images are accepted.", param="images")
