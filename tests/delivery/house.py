"""One running installation, what is made in it, and what is planted in it as if it had been made."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import psycopg

from safelight.domain.ids import new_generation_id
from safelight.domain.media import EXTENSION_OF_MIME, MimeType
from safelight.domain.object_keys import media_key
from safelight.domain.signing import LinkSigner, parse_signing_keys
from tests.support.server import PATIENCE_SECONDS, Server, eventually, free_port, safelight
from tests.support.tenants import make_tenant_at

CATALOG = Path(__file__).with_name("catalog.toml")
VECTORS = json.loads((Path(__file__).parents[1] / "domain/signing_vectors.json").read_text())
KEYS = ",".join(f"{name}:{secret}" for name, secret in VECTORS["keys"].items())
LONG_TIME_SECONDS = 3600

_PLANT = """
with made as (
    insert into generations (id, workspace_id, type, model, request, body_sha256, billable_unit, unit_price_nanos,
        quantity, held_nanos, charged_nanos, charged_thousandths, state, deadline, retention_seconds, is_stored,
        finished_at, deletes_at)
    select %(id)s, id, %(type)s, 'still', %(request)s, '\\x00', 'image', 0, 1, 0, 0, 0, 'completed', now(), 3600,
        %(is_stored)s, now(), %(deletes_at)s
    from workspaces where name = %(workspace)s
    on conflict (id) do nothing
    returning id, workspace_id, finished_at, type, model
), settled as (
    insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos, revenue_nanos)
    select workspace_id, 'settle', id, 0, 0, 0 from made
), counted as (
    insert into daily_usage (workspace_id, date, type, model, completed)
    select workspace_id, (finished_at at time zone 'UTC')::date, type, model, 1 from made
    on conflict on constraint daily_usage_once do update set completed = daily_usage.completed + 1
)
insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at)
values (%(id)s, %(index)s, %(key)s, %(mime_type)s, %(size_bytes)s, %(sha256)s, 64, 64, %(deletes_at)s)
"""


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the store with its row, and its links."""

    id: str
    index: int
    key: str
    content: bytes
    path: str
    url: str
    thumbnail_url: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()}"'


class House:
    """``server`` with its database at ``database_url``, a key of its default workspace, and its files in ``media``."""

    def __init__(self, server: Server, database_url: str, env: Mapping[str, str], *, key: str, media: Path) -> None:
        self.server = server
        self.database_url = database_url
        self.env = dict(env)
        self.key = key
        self.media = media
        self.http = self.client(key)
        self.anonymous = httpx.Client(base_url=server.base_url, timeout=PATIENCE_SECONDS)

    def client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.server.base_url, headers=headers, timeout=PATIENCE_SECONDS)

    @contextmanager
    def beside(self, env: Mapping[str, str], *, is_well: bool = True) -> Iterator[House]:
        """One more API process, on the same database, media and keys unless ``env`` says otherwise."""
        settings = {**self.env, "SAFELIGHT_MEDIA_URL": self.media.as_uri(), **env}
        folder = self.server.data_dir.with_name(f"beside-{secrets.token_hex(3)}")
        server = Server(folder, command="serve", env=settings)
        try:
            if is_well:
                server.wait_until_ready()
            else:
                eventually(lambda: _lives(server), "it answers")
            yield House(server, self.database_url, settings, key=self.key, media=self.media)
            server.stop()
        finally:
            server.kill_everything()

    def sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def workspace(self, name: str) -> str:
        """Make a workspace with money; a key of it."""
        return make_tenant_at(self.database_url, name, usd="10").key

    def cli(self, *arguments: str, killpoint: str | None = None) -> Any:
        """Run a command beside the server, on the same settings."""
        extra = {"SAFELIGHT_KILLPOINT": killpoint} if killpoint else {}
        return safelight(*arguments, "--data-dir", self.server.data_dir, env={**self.env, **extra})

    def link(self, generation_id: str, index: int, exp: int, variant: str | None = None, *, keys: str = KEYS) -> str:
        return LinkSigner(parse_signing_keys(keys), self.server.base_url).url(generation_id, index, exp, variant)

    def plant(
        self,
        content: bytes,
        *,
        mime_type: MimeType = "image/png",
        generation_id: str | None = None,
        index: int = 0,
        seconds: int = LONG_TIME_SECONDS,
        is_stored: bool = True,
        workspace: str = "default",
        day: str | None = None,
    ) -> Planted:
        """Put a file and its row where a generation would have put them, to be deleted in ``seconds``."""
        id_ = generation_id or new_generation_id()
        extension = EXTENSION_OF_MIME[mime_type]
        key = f"media/{day}/{id_}-{index}.{extension}" if day else media_key(id_, index, uuid4(), extension)
        path = self.media / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        deletes_at = datetime.fromtimestamp(int(time.time()), UTC) + timedelta(seconds=seconds)
        params = {
            "id": id_,
            "index": index,
            "key": key,
            "type": "video" if mime_type == "video/mp4" else "image",
            "request": json.dumps({"prompt": "planted"}),
            "mime_type": mime_type,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).digest(),
            "is_stored": is_stored,
            "deletes_at": deletes_at,
            "workspace": workspace,
        }
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(_PLANT, params)
        exp = int(deletes_at.timestamp()) if seconds > 0 else int(time.time()) + LONG_TIME_SECONDS
        return Planted(
            id=id_,
            index=index,
            key=key,
            content=content,
            path=str(path),
            url=self.link(id_, index, exp),
            thumbnail_url=self.link(id_, index, exp, "thumbnail"),
        )

    def image(self, model: str = "still", prompt: str = "a hill", **more: Any) -> dict[str, Any]:
        answer = self.http.post("/v2/images/generations", json={"model": model, "prompt": prompt, **more})
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def video(self, model: str = "clip", prompt: str = "a hill", **more: Any) -> dict[str, Any]:
        """Order a video and wait for its end."""
        answer = self.http.post("/v2/videos/generations", json={"model": model, "prompt": prompt, **more})
        assert answer.status_code == 202, answer.text
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found: dict[str, Any] = self.http.get(f"/v2/videos/generations/{answer.json()['id']}?wait=30").json()
            if found["status"] != "pending":
                return found
            assert time.monotonic() < deadline, found

    def get(self, url: str, **headers: str) -> httpx.Response:
        """A plain GET, as a browser without any key does it."""
        return self.anonymous.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def balance(self) -> tuple[int, int]:
        """What the default workspace has, available and held, in nano-dollars."""
        ((available, held),) = self.sql(
            "select available_nanos, held_nanos from accounts a join workspaces w on w.id = a.workspace_id "
            "where w.name = 'default'"
        )
        return available, held

    def files(self) -> set[str]:
        """Every file in the media folder, by its key."""
        found = (path for path in self.media.rglob("*") if path.is_file())
        return {str(path.relative_to(self.media)) for path in found}


def _lives(server: Server) -> bool:
    try:
        return httpx.get(f"{server.base_url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def open_house(
    folder: Path, database_url: str, env: Mapping[str, str] | None = None, *, command: str = "up"
) -> Iterator[House]:
    """``safelight up``, or ``serve`` without a worker, on a database of the tests' server, with keys known to tests."""
    port = free_port()
    settings = {
        "SAFELIGHT_DATABASE_URL": database_url,
        "SAFELIGHT_CATALOG": str(CATALOG),
        "SAFELIGHT_SIGNING_KEYS": KEYS,
        "SAFELIGHT_SHUTDOWN": "3s",
        "SAFELIGHT_PORT": str(port),
        **(env or {}),
    }
    key = ""
    if command == "serve":
        key = safelight("keys", "create", "--plain", env=settings).stdout.strip()
        safelight("credit", "add", "default", "100", "--reason", "for a test", env=settings)
    server = Server(folder / f"data-{secrets.token_hex(3)}", env=settings, port=port, command=command)
    try:
        server.wait_until_ready()
        yield House(server, database_url, settings, key=key or server.key, media=server.data_dir / "media")
        server.stop()
    finally:
        server.kill_everything()
