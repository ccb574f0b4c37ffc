"""What all pages share: where they are, what a browser may load for them, their templates and static files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from safelight.accounts.sessions import Sessions
from safelight.dashboard.assets import Assets
from safelight.dashboard.templates import make_environment
from safelight.domain.errors import ConfigurationError
from safelight.keeping.services import KeepingServices
from safelight.keeping.verdicts import Verdicts
from safelight.lifecycle.watching import Watching
from safelight.node.certificates import ROOT, read
from safelight.node.checks import Check
from safelight.node.settings import Settings

PREFIX = "/dashboard"

Inspect = Callable[[KeepingServices], Awaitable[list[Check]]]
"""Tries everything that a running system needs."""


class Site:
    """One process's dashboard. ``root``: the path below which this service is reached from outside, empty or ``/x``."""

    def __init__(self, settings: Settings, inspect: Inspect) -> None:
        self.settings = settings
        self.inspect = inspect
        public = urlsplit(settings.base_url)
        self.root = public.path.rstrip("/")
        self.is_secure = public.scheme == "https"
        self.origin = f"{public.scheme}://{public.netloc}"
        self.assets = Assets()
        self.sessions = Sessions()
        self.watching = Watching()
        self.verdicts = Verdicts(lambda: _trusted(settings))
        self._headers = _page_headers(self.origin, settings)
        self._environment = make_environment(self)

    def at(self, path: str) -> str:
        """A path of ours as a browser asks for it."""
        return f"{self.root}{path}"

    def asset(self, name: str) -> str:
        """Where a static file is, such as ``app.js``."""
        return self.at(self.assets.path_of(name))

    def render(self, template: str, context: Mapping[str, object]) -> str:
        return self._environment.get_template(template).render(context)

    def render_block(self, template: str, block: str, context: Mapping[str, object]) -> str:
        """Only a block of a template, as it stands in the whole."""
        found = self._environment.get_template(template)
        made = found.new_context(dict(context))
        next(found.root_render_func(made), None)  # as far as what it imports on top, which its blocks use
        return "".join(found.blocks[block](made))

    def html(self, text: str, status: int = 200) -> Response:
        """A page, or a piece of one."""
        return HTMLResponse(text, status_code=status, headers=self._headers)


def _trusted(settings: Settings) -> bytes:
    """The root of the chain that signs here, in PEM; nothing where there is none."""
    try:
        return read(settings.provenance_folder / ROOT)
    except ConfigurationError:
        return b""


def _page_headers(origin: str, settings: Settings) -> dict[str, str]:
    """What a browser may do with a page: load what is ours, and media from where that is, and nothing else."""
    media = " ".join(dict.fromkeys([origin, *_store_origins(settings)]))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' data: blob: {media}",
        "media-src": f"'self' blob: {media}",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "vary": "HX-Request",
    }


def _store_origins(settings: Settings) -> list[str]:
    """Where downloads lead a browser on to: the object store itself, where the settings say so."""
    if settings.download_redirect == "off":
        return []
    return ["https:", "http:"] if settings.media_store_url.startswith("s3:") else ["https:"]
