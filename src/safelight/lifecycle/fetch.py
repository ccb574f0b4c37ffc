"""Bringing media from where a backend put it, for as long as there is time: an address that is not to be trusted.

What was made is paid for, so a server that is away, or breaks off, is asked again, and for the rest alone where it can
send that (RFC 9110, 14.2 and 13.1.5). An address that is good no more is exchanged for a fresh one. Every try is
checked as the first one is.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path

import msgspec
import structlog

from safelight.domain.errors import MediaError, ServiceUnavailable
from safelight.domain.headers import retry_after_seconds
from safelight.domain.numbers import whole_number
from safelight.domain.outcomes import RemoteFile
from safelight.lifecycle.pauses import Pauses
from safelight.outbound.client import AnswerStream, GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused, Reason
from safelight.telemetry import observe

log = structlog.get_logger()

FreshAddress = Callable[[], Awaitable[RemoteFile | None]]
"""Asks the backend where the file lies now. None: it does not say anything else."""

_TRY_SECONDS = 600.0
"""How long one try lasts at most, where the rest can be asked for; else what came slowly would never come whole."""
_SILENT_SECONDS = 60.0
_MAX_RETRY_AFTER_SECONDS = 60.0
_MAX_FRESH = 3
_GETS_BETTER = frozenset({408, 425, 429})
_PASSING: frozenset[Reason] = frozenset({"unresolved", "unreachable", "tls", "timeout", "broken_answer"})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)", re.ASCII)


class _Received(msgspec.Struct):
    """What is on disk of a file. ``tag``: what names this very version of it, for ``If-Range``."""

    size_bytes: int = 0
    total_bytes: int | None = None
    tag: str | None = None


class _Refused(Exception):
    """The server answered with something other than the file."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.retry_after_seconds = retry_after_seconds(retry_after, datetime.now(UTC))


class _Broken(Exception):
    """The server sent less than the file, or another one."""


async def fetch(
    item: RemoteFile,
    target: Path,
    *,
    max_bytes: int,
    pauses: Pauses,
    fresh: FreshAddress | None = None,
    kind: str = "unknown",
) -> None:
    """Write the file to ``target``, trying for as long as ``pauses`` last. ``kind``: that of the backend, by name.

    Raises ``MediaError`` with the last reason, at once where no further try would do better; and
    ``ServiceUnavailable`` where this machine's disk does not take it.
    """
    received, exchanged, had_bytes = _Received(), 0, 0
    while True:
        refused = await _from_address(item, target, received, max_bytes, pauses, kind)
        if refused is None:
            return
        exchanged = 1 if received.size_bytes > had_bytes else exchanged + 1
        had_bytes = received.size_bytes
        item = await _exchanged(item, fresh if exchanged <= _MAX_FRESH else None, refused, pauses)
        await pauses.next(refused)


async def _from_address(
    item: RemoteFile, target: Path, received: _Received, max_bytes: int, pauses: Pauses, kind: str
) -> MediaError | None:
    """Try at one address until the file is there (None), or until the address itself is refused, and why."""
    client = GuardedClient(OutboundPolicy.parse(item.allow, setting="the provider's addresses"))
    try:
        while True:
            before, wait_seconds = received.size_bytes, 0.0
            try:
                with observe.BackendCall(kind, "fetch") as call:
                    await _try(client, item, target, received, max_bytes, pauses.until - time.monotonic())
                    call.result = "ok"
                return None
            except OutboundRefused as refused:
                # Its details may be the server's words, which nothing here clears of secrets.
                error, why = _failure(refused), str(refused.reason)
                if refused.reason not in _PASSING:
                    raise error from refused
            except _Broken as broken:
                error, why = _failure(broken), str(broken)
            except _Refused as refused:
                error, why = _failure(refused), str(refused)
                if refused.status < 500 and refused.status not in _GETS_BETTER:
                    return error
                wait_seconds = min(refused.retry_after_seconds, _MAX_RETRY_AFTER_SECONDS)
            if received.size_bytes > before:
                pauses.begin_anew()
            log.warning("the backend's file could not be fetched; trying again", reason=why)
            await pauses.next(error, wait_seconds)
    finally:
        await client.close()


async def _exchanged(item: RemoteFile, fresh: FreshAddress | None, error: MediaError, pauses: Pauses) -> RemoteFile:
    """Where the file lies now, if only by the backend's word: what has just been made is late in some stores.

    Raises ``error`` where the backend says of no place, or has said so often enough.
    """
    while fresh is not None:
        try:
            found = await fresh()
        except Exception as broke:
            log.warning("the backend could not be asked for a fresh address", error=type(broke).__name__)
            await pauses.next(error)
            continue
        if found is None:
            break
        return found
    raise error


async def _try(
    client: GuardedClient, item: RemoteFile, target: Path, received: _Received, max_bytes: int, seconds: float
) -> None:
    """Get the file, or the rest of it. ``received`` tells afterwards what is there, also where it breaks off."""
    rest = {}
    if received.size_bytes and received.tag:
        rest = {"Range": f"bytes={received.size_bytes}-", "If-Range": received.tag}
    try:
        async with (
            asyncio.timeout(_SILENT_SECONDS) as silence,
            client.stream(
                item.url,
                max_bytes=max_bytes,
                deadline_seconds=max(seconds, 0.1),
                headers=item.headers,
                headers_everywhere=rest,
            ) as answer,
        ):
            _begin(answer, received, is_rest=bool(rest))
            loop = asyncio.get_running_loop()
            ends_at = loop.time() + (_TRY_SECONDS if _can_be_resumed(answer, received) else seconds)
            with await asyncio.to_thread(_opened, target, received.size_bytes) as file:
                async for chunk in answer.chunks():
                    silence.reschedule(min(loop.time() + _SILENT_SECONDS, ends_at))
                    if received.size_bytes + len(chunk) > max_bytes:
                        raise OutboundRefused("too_large", f"over {max_bytes} bytes")
                    await asyncio.to_thread(_write, file, chunk)
                    received.size_bytes += len(chunk)
    except TimeoutError:
        raise OutboundRefused("timeout", f"silent for {_SILENT_SECONDS} s, or not done in {_TRY_SECONDS} s") from None
    if received.total_bytes not in (None, received.size_bytes):
        raise _Broken(f"{received.size_bytes} bytes came of {received.total_bytes}")


def _begin(answer: AnswerStream, received: _Received, *, is_rest: bool) -> None:
    """Take up what the answer's head says. Raises ``_Refused``, and ``_Broken`` where it has to be begun anew."""
    if answer.status == 206 and is_rest:
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        first, last, total = found.groups() if found else ("", "", "*")
        is_ours = found is not None and int(first) == received.size_bytes <= int(last)
        is_same = _tag(answer.headers) in (None, received.tag) and total in ("*", str(received.total_bytes or total))
        if is_ours and is_same:
            received.total_bytes = received.total_bytes if total == "*" else int(total)
            return
    if answer.status in (206, 416) and is_rest:
        received.size_bytes, received.tag = 0, None
        raise _Broken(f"HTTP {answer.status} for the rest of a file that is another one now")
    if answer.status != 200:
        raise _Refused(answer.status, answer.headers.get("retry-after"))
    received.size_bytes = 0
    received.total_bytes = whole_number(answer.headers.get("content-length", ""))
    received.tag = _tag(answer.headers)


def _can_be_resumed(answer: AnswerStream, received: _Received) -> bool:
    """Whether the server sends the rest of a file alone (RFC 9110, 14.3), as far as it says or shows."""
    return received.tag is not None and (
        answer.status == 206 or answer.headers.get("accept-ranges", "").strip().lower() == "bytes"
    )


def _tag(headers: Mapping[str, str]) -> str | None:
    """What names this very version of a file: a strong ETag, or else when it was changed."""
    tag = headers.get("etag", "")
    found = tag if tag.startswith('"') else headers.get("last-modified", "")
    return found if found.isascii() and found.isprintable() and found else None


def _opened(target: Path, size_bytes: int) -> RawIOBase:
    with _disk_errors():
        file = target.open("ab", buffering=0)
        file.truncate(size_bytes)
        return file


def _write(file: RawIOBase, chunk: bytes) -> None:
    rest = memoryview(chunk)
    with _disk_errors():
        while rest:
            rest = rest[file.write(rest) or 0 :]


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """The disk's errors told from the network's, after which it is tried again."""
    try:
        yield
    except OSError as error:
        raise ServiceUnavailable(f"The work folder's disk does not take the file: {error.strerror}.") from error


def _failure(reason: Exception) -> MediaError:
    return MediaError(f"The backend's file could not be fetched: {reason}.")
