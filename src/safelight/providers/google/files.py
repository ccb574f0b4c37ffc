"""Where what was made lies: in the answer itself, behind the API, in a bucket, or at an address of its own."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from safelight.domain.outcomes import Answer, Completed, Failed, FailureClass, RemoteFile
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.providers.google.settings import GEMINI_URL, Settings

_FILE = re.compile(r"(?:^|/)files/([A-Za-z0-9][A-Za-z0-9_-]{0,199})(?::download)?$", re.ASCII)
_BUCKET_OBJECT = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221})/(\S(?:.{0,1022}\S)?)", re.DOTALL)


_VENDORS = ("https", urlsplit(GEMINI_URL).hostname, 443)
"""The Developer API's own origin: behind a proxy, its files are behind the proxy, and the key goes there alone."""


class Files:
    """Of one connection, for one answer. ``headers`` carry the token of Vertex, and go to Cloud Storage alone."""

    def __init__(self, api: BackendApi, settings: Settings, headers: dict[str, str]) -> None:
        self._api, self._settings, self._headers = api, settings, headers

    def made(self, reply: Reply, data: str, uri: str, said: Answer) -> Completed | Failed:
        """What base64 of the answer holds, or else what lies at an address."""
        if not data:
            return self._at(uri, said)
        media = reply.inline(data)
        if media is None:
            return Failed(FailureClass.PERMANENT, "the base64 of what it made cannot be read", answer=said)
        return Completed((media,), said)

    def _at(self, uri: str, said: Answer) -> Completed | Failed:
        if uri.startswith("gs://"):
            return self._in_bucket(uri, said)
        try:
            parts = urlsplit(uri)
            is_ours = not parts.scheme or self._origin(uri) in (self._origin(self._api.base_url), _VENDORS)
        except ValueError:
            return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=said)
        if is_ours and self._settings.platform == "gemini":
            if (match := _FILE.search(parts.path)) is None:
                return Failed(FailureClass.PERMANENT, "the address of the file is none of the API's files", answer=said)
            path = f"/{self._settings.version}/files/{match[1]}:download?alt=media"
            return Completed((self._api.file(self._api.url(path), with_key=True),), said)
        if parts.scheme != "https" and not is_ours:
            return Failed(FailureClass.PERMANENT, "the address of the file has no https", answer=said)
        return Completed((self._api.file(uri),), said)

    def _in_bucket(self, uri: str, said: Answer) -> Completed | Failed:
        match = _BUCKET_OBJECT.fullmatch(uri)
        if match is None or self._settings.platform != "vertex":
            return Failed(FailureClass.PERMANENT, "the file is in a bucket that cannot be read", answer=said)
        base = self._settings.storage_url
        url = f"{base}/storage/v1/b/{match[1]}/o/{quote(match[2], safe='')}?alt=media"
        parts = urlsplit(base)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        allow = (f"{parts.hostname}:{port}", *self._settings.allow)
        return Completed((RemoteFile(url, headers=dict(self._headers), allow=allow),), said)

    @staticmethod
    def _origin(url: str) -> tuple[str, str | None, int]:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
