"""Static files, below an address that changes whenever any of them does, so that browsers may keep them for good."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from safelight.domain.errors import NotFound

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_KEPT = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


class Assets:
    """The files of ``static/``. They are read once, and small."""

    def __init__(self) -> None:
        self._files = dict(sorted(files_in("static", _TYPES)))
        digest = hashlib.sha256()
        for name, content in self._files.items():
            digest.update(f"{name}\n{len(content)}\n".encode() + content)
        self._version = digest.hexdigest()[:12]
        self._compressed = {name: gzip.compress(content, 9, mtime=0) for name, content in self._files.items()}

    def path_of(self, name: str) -> str:
        """The address of a file. Raises ``KeyError`` if there is none of that name."""
        self._files[name]
        return f"/dashboard/static/{self._version}/{name}"

    def answer(self, request: Request, version: str, name: str) -> Response:
        """The file; one of another version is not there. Raises ``NotFound``."""
        if version != self._version or name not in self._files:
            raise NotFound(f"There is no file {name!r} of this version. Reload the page.")
        headers = {**_KEPT, "vary": "accept-encoding"}
        content, kind = self._files[name], _TYPES["." + name.rpartition(".")[2]]
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = self._compressed[name]
            headers["content-encoding"] = "gzip"
        return Response(content, media_type=kind, headers=headers)


def files_in(folder: str, endings: Iterable[str]) -> list[tuple[str, bytes]]:
    """The names, below a folder of this package, and the contents of what ends so."""
    return _files_in(resources.files("safelight.dashboard").joinpath(folder), "", tuple(endings))


def _files_in(folder: Traversable, prefix: str, endings: tuple[str, ...]) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files_in(entry, f"{prefix}{entry.name}/", endings)
        elif entry.name.endswith(endings):
            found.append((f"{prefix}{entry.name}", entry.read_bytes()))
    return found
