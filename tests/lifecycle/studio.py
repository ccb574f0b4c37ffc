"""One process's parts, without the process, and workspaces that ask it for the smallest images there are."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from safelight.accounts.keys import Authenticator
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.domain.scope import Principal
from safelight.lifecycle.make import Made, make_image
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, submit
from safelight.node.settings import load_settings
from safelight.wiring import Parts, open_parts
from tests.money.shop import settings_environment
from tests.support.tenants import make_tenant

_CLIP = Request(type=GenerationType.VIDEO, model="clip", prompt="a hill")


class Studio:
    """What the tests ask for. ``rows`` looks into the database."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.db = parts.db
        self._runner = Runner(parts.running)

    async def workspace(self, usd: str = "10", **limits: int) -> Principal:
        """A new workspace with credit and limits; who sends its requests."""
        tenant = await make_tenant(self.db, usd=usd, **limits)
        return await Authenticator(self.db).authenticate(f"Bearer {tenant.key}")

    async def make(self, sender: Principal, *, has_left: Callable[[], bool] = lambda: False, **fields: Any) -> Made:
        """An image, to its end. Raises what refuses the request."""
        request = Request(**{"type": GenerationType.IMAGE, "model": "still", "prompt": "a hill", **fields})
        asked = _submission(sender, request)
        return await make_image(self.parts.submitting, self.parts.viewing, self._runner, asked, has_left=has_left)

    async def submit_video(self, sender: Principal, request: Request = _CLIP) -> str:
        """A video that waits, as no worker runs; its id."""
        return (await submit(self.parts.submitting, _submission(sender, request))).id

    async def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.db.connection() as connection:
            cursor = await connection.execute(query, params)
            return await cursor.fetchall() if cursor.description else []


def _submission(sender: Principal, request: Request) -> Submission:
    return Submission(principal=sender, request=request, body_sha256=hashlib.sha256(secrets.token_bytes(8)).digest())


@contextlib.asynccontextmanager
async def open_studio(database_url: str, folder: Path, **settings: str) -> AsyncIterator[Studio]:
    """A studio whose moderation refuses what is ``forbidden``. ``settings`` are environment variables."""
    blocklist = folder / "blocklist.toml"
    blocklist.write_text('[[rules]]\ncategory = "forbidden"\nterms = ["forbidden"]\n')
    environment = {
        **settings_environment(folder, database_url),
        "SAFELIGHT_DATA_DIR": str(folder / "data"),
        "SAFELIGHT_PROVENANCE": "off",
        "SAFELIGHT_MODERATION": "blocklist",
        "SAFELIGHT_MODERATION_BLOCKLIST": str(blocklist),
        **settings,
    }
    async with open_parts(load_settings(environment)) as parts:
        yield Studio(parts)
