"""What is kept, until when, what should be gone; room on disks, and what signs."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import ConfigurationError, SafelightError
from safelight.domain.roles import Role
from safelight.keeping.inventory import GRACE_SECONDS, MOST_COUNTED, count_files, list_overdue_files
from safelight.lifecycle.processes import Room, list_processes
from safelight.node.certificates import CHAIN, read
from safelight.node.chain import certificate_expiry
from safelight.node.settings import Settings
from safelight.node.signing_key_file import read_signing_keys

_PATH = "/operator/storage"
_HERE = f"{PREFIX}{_PATH}"
_DUES = (
    ("due", "due now"),
    ("marked", "being deleted"),
    ("day", "due within 24 h"),
    ("week", "due within 7 d"),
    ("later", "due later"),
)
_MOST_SHOWN = 100
_PROBE_SECONDS = 10.0
_SOON_DAYS, _OLD_DAYS = 30, 365
_COLUMNS = (
    "generation_id",
    "index",
    "workspace",
    "mime_type",
    "size_bytes",
    "deletes_at",
    "tombstoned_at",
)


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """What signs, or why nothing does: a verdict, and in words."""

    name: str
    kind: str
    words: str
    detail: str


async def show(request: Request) -> Response:
    """The files that are kept, and those that should be gone."""
    return await _page(visit_of(request))


async def probe(request: Request) -> Response:
    """Try the store: write a file, read it, delete it."""
    visit, began = visit_of(request), time.monotonic()
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await visit.state.keeping.store.probe()
    except (SafelightError, OSError) as error:
        return await _page(visit, tried=("bad", f"The media store failed: {error}"))
    except TimeoutError:
        return await _page(visit, tried=("bad", f"The media store gave no answer within {_PROBE_SECONDS:g} s."))
    seconds = time.monotonic() - began
    return await _page(visit, tried=("good", f"The media store wrote, read and deleted a file in {seconds:.2f} s."))


async def give_file(request: Request) -> Response:
    """Files that should be gone, as a file."""
    visit = visit_of(request)
    found = await list_overdue_files(visit.operator, visit.state.keeping.db, most=MOST_ROWS)
    return export(request, "overdue-files", _COLUMNS, [msgspec.structs.asdict(each) for each in found])


async def _page(visit: Visit, *, tried: tuple[str, str] | None = None) -> Response:
    db = visit.state.keeping.db
    kept = await count_files(visit.operator, db)
    overdue = await list_overdue_files(visit.operator, db, most=_MOST_SHOWN + 1)
    kinds = sorted({each.kind for each in kept})
    processes = [each for each in await list_processes(visit.operator, db) if each.facts is not None]
    rooms: dict[tuple[str, str], Room] = {
        (each.host or "", room.folder): room for each in processes if each.facts for room in each.facts.rooms
    }
    return visit.page(
        "operator/storage.html",
        kinds=kinds,
        dues=_DUES,
        kept={(each.due, each.kind): each for each in kept},
        files=sum(each.files for each in kept),
        size_bytes=sum(each.size_bytes for each in kept),
        most=MOST_COUNTED,
        overdue=overdue[:_MOST_SHOWN],
        has_more=len(overdue) > _MOST_SHOWN,
        grace_seconds=GRACE_SECONDS,
        rooms=sorted(rooms.items()),
        signing=await asyncio.to_thread(_signing, visit.site.settings),
        tried=tried,
    )


def _signing(settings: Settings) -> list[Signing]:
    return [_certificate(settings), *_keys(settings)]


def _certificate(settings: Settings) -> Signing:
    name = "Certificate of provenance"
    if settings.provenance == "off":
        return Signing(name=name, kind="warn", words="off", detail="SAFELIGHT_PROVENANCE is off: files are not signed.")
    try:
        ends = certificate_expiry(read(settings.provenance_folder / CHAIN))
    except (ConfigurationError, ValueError) as error:
        return Signing(name=name, kind="bad", words="cannot be read", detail=str(error))
    left = (ends - datetime.now(UTC)).days
    kind, words = ("good", "good") if left > _SOON_DAYS else ("warn", "ends soon") if left >= 0 else ("bad", "expired")
    return Signing(name=name, kind=kind, words=words, detail=f"Until {ends:%Y-%m-%d}, {left} days from now.")


def _keys(settings: Settings) -> list[Signing]:
    try:
        found = read_signing_keys(settings)
    except ConfigurationError as error:
        return [Signing(name="Keys of links", kind="bad", words="cannot be read", detail=str(error))]
    now, signing = datetime.now(UTC), []
    for place, key in enumerate(found[0] if found else ()):
        days = None if key.created_at is None else (now - key.created_at).days
        is_old = place == 0 and days is not None and days > _OLD_DAYS
        use = "signs new links" if place == 0 else "checks old links"
        age = "its age is not on record" if days is None else f"made {days} days ago"
        signing.append(
            Signing(
                name=f"Key of links {key.id}",
                kind="warn" if is_old else "good",
                words="old" if is_old else "good",
                detail=f"It {use}; {age}." + (" 'safelight signing-keys rotate' makes another." if is_old else ""),
            )
        )
    return signing


ROUTES = (
    Route("GET", _HERE, show, role=Role.OPERATOR),
    Route("POST", _HERE, probe, role=Role.OPERATOR),
    *routes_of_files(_PATH, give_file, Role.OPERATOR),
)
