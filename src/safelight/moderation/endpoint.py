"""A moderation service that speaks OpenAI's ``POST /moderations``."""

from __future__ import annotations

import base64
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Annotated, Any

import aiohttp
import msgspec
import structlog

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.media import Reference

log = structlog.get_logger()

_SECONDS = 10.0
_MAX_ANSWER_BYTES = 1024 * 1024


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None] = {}


class _Answer(msgspec.Struct):
    results: Annotated[list[_Result], msgspec.Meta(min_length=1)]  # none: nothing was checked


class ModerationEndpoint:
    """Asks for each prompt, and for each picture. While the service does not answer, nothing is let through."""

    def __init__(self, base_url: str, key: str | None, model: str) -> None:
        self._url = f"{base_url.rstrip('/')}/moderations"
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._model = model
        self._session: aiohttp.ClientSession | None = None

    async def check_prompt(self, prompt: str, workspace: str) -> str | None:
        """The first category that the service flags. Raises ``ServiceUnavailable``."""
        return await self._ask(prompt)

    async def check_images(self, images: Sequence[Reference], workspace: str) -> str | None:
        """The first category that the service flags in any picture. Raises ``ServiceUnavailable``."""
        for image in images:
            url = f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode()}"
            if category := await self._ask([{"type": "image_url", "image_url": {"url": url}}]):
                return category
        return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, what: str | list[dict[str, Any]]) -> str | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=False)
        body = {"model": self._model, "input": what}
        try:
            async with self._session.post(
                self._url, json=body, headers=self._headers, allow_redirects=False
            ) as response:
                response.raise_for_status()
                raw = await _read(response.content)
            answer = msgspec.json.decode(raw, type=_Answer)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            log.error("the moderation service did not answer", reason=type(error).__name__)
            raise ServiceUnavailable(
                "The content check is away for a moment. Nothing was charged; try again."
            ) from None
        for result in answer.results:
            if result.flagged:
                return next((name for name, hit in result.categories.items() if hit), "flagged")
        return None


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The whole answer, in however many pieces it comes, without a byte order mark; cut where it is too long."""
    raw = bytearray()
    async for piece in content.iter_any():
        raw += piece
        if len(raw) > _MAX_ANSWER_BYTES:
            break
    return bytes(raw[:_MAX_ANSWER_BYTES]).removeprefix(BOM_UTF8)
