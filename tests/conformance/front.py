"""A Safelight in front of one vendor, and what came of what it was asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from safelight.accounts.books import check_books
from safelight.domain.errors import SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.ports import Asked
from safelight.domain.request import ImageInput, Request
from safelight.domain.scope import OPERATOR, Principal
from safelight.lifecycle.cancel import cancel
from safelight.lifecycle.views import view_of_any_type
from tests.conformance.vendor import CANARY, Vendor, catalog_of
from tests.contract.bodies import PNG_URL
from tests.lifecycle.studio import Studio, open_studio
from tests.support.jobs import a_job

PATIENCE_SECONDS = 60.0


class Result(msgspec.Struct, kw_only=True):
    """A generation: its row, its files, and what is in the ledger of it."""

    row: dict[str, Any]
    files: list[bytes]
    charged_nanos: int | None
    entries: list[str]

    @property
    def state(self) -> str:
        return str(self.row["state"])

    @property
    def reports(self) -> list[dict[str, Any]]:
        return self.row["backend_reports"] or []

    def check_one_end(self, *states: str) -> None:
        """One terminal state, one hold and one settlement, and a file where it was charged."""
        assert self.state in states, self.row
        assert self.entries == ["hold", "settle"]
        assert bool(self.files) == (self.state == "completed") == bool(self.charged_nanos)


class Front:
    """Asks for generations of the vendor's type. ``restarted`` is what another process would be."""

    def __init__(self, vendor: Vendor, database_url: str, folder: Path) -> None:
        self.vendor, self._url, self._folder = vendor, database_url, folder
        self.key_file = folder / "key"
        self.key_file.write_text(CANARY)

    async def start(self, *, is_edited: bool = False) -> None:
        catalog = self._folder / "vendor.toml"
        catalog.write_text(catalog_of(self.vendor, self.key_file, is_edited=is_edited))
        self._stack = contextlib.AsyncExitStack()
        self.studio: Studio = await self._stack.enter_async_context(
            open_studio(
                self._url,
                self._folder,
                SAFELIGHT_CATALOG=str(catalog),
                SAFELIGHT_LEASE="4s",
                SAFELIGHT_IMAGE_DEADLINE="20s",
                SAFELIGHT_VIDEO_DEADLINE="60s",
                SAFELIGHT_PROVENANCE="on",
            )
        )
        self.runner = self.studio._runner  # of images too: what it has under way is handed back at the end

    async def stop(self) -> None:
        """As a process that is asked to end: what runs is handed back."""
        await self.runner.close(0)
        await self._stack.aclose()

    async def restart(self, *, is_edited: bool = False) -> None:
        await self.stop()
        await self.start(is_edited=is_edited)

    def request(self, prompt: str = "a hill", *, references: int = 0, **fields: Any) -> Request:
        role = "first_frame" if self.vendor.type is GenerationType.VIDEO else "reference_image"
        images = tuple(ImageInput(url=PNG_URL, role=role) for _ in range(references))  # type: ignore[arg-type]
        more = {"output_format": "png"} if self.vendor.type is GenerationType.IMAGE else {}
        if self.vendor.type is GenerationType.VIDEO:
            more["webhook_url"] = "https://hooks.example/news"
        return Request(type=self.vendor.type, model="model", prompt=prompt, images=images, **more, **fields)

    async def submit(self, owner: Principal, request: Request) -> str:
        """Accept it, and run it in the background; its id."""
        self.vendor.prepare(self.studio.parts.running.catalog, self._folder / "data")
        if self.vendor.type is GenerationType.IMAGE:
            making = asyncio.create_task(self._make(owner, request))
            making.add_done_callback(lambda task: task.cancelled() or task.exception())  # it may be that nobody asks
            self._making = making
            await asyncio.sleep(0)
            return await self._newest(owner, making)
        generation_id = await self.studio.submit_video(owner, request)
        self.run(generation_id)
        return generation_id

    def run(self, generation_id: str) -> None:
        """As a worker that was given it."""
        self._making = asyncio.create_task(self.runner.claim_and_run(generation_id))

    async def make(self, request: Request, owner: Principal | None = None) -> Result:
        """Make it, to its end or to where only waiting helps."""
        owner = owner or await self.studio.workspace()
        generation_id = await self.submit(owner, request)
        with contextlib.suppress(SafelightError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._making
        return await self.result(generation_id)

    async def cancel(self, owner: Principal, generation_id: str) -> str:
        parts = self.studio.parts
        became, _ = await cancel(parts.running, parts.viewing, owner.workspace_id, generation_id, self.vendor.type)
        return became.value

    async def until(self, generation_id: str, *states: str) -> Result:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (result := await self.result(generation_id)).state not in states:
                await asyncio.sleep(0.05)
            return result

    async def until_taken(self, generation_id: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.result(generation_id)).row["handle"] is None:
                await asyncio.sleep(0.05)

    async def result(self, generation_id: str) -> Result:
        ((row,),) = await self.studio.rows("select to_jsonb(g) from generations g where id = %s", generation_id)
        keys = await self.studio.rows("select key from media where generation_id = %s order by index", generation_id)
        kinds = await self.studio.rows("select kind from transfers where generation_id = %s order by id", generation_id)
        return Result(
            row=row,
            files=[await self.studio.parts.keeping.store.get(key) for (key,) in keys],
            charged_nanos=row["charged_nanos"],
            entries=[kind for (kind,) in kinds],
        )

    async def asked(self, generation_id: str) -> Asked:
        """The job of a generation that was taken, as its run asks about it."""
        row = (await self.result(generation_id)).row
        binding = self.studio.parts.running.catalog.models["model"].bindings[0]
        job = a_job(
            self._folder,
            binding.options,
            id_=generation_id,
            type_=self.vendor.type,
            upstream_model=binding.upstream_model,
        )
        return Asked(row["handle"], job)

    async def everything_kept(self) -> AsyncIterator[tuple[str, bytes]]:
        """All that is on record, in the data folder or in the store, and what is answered; each with what it is.

        News of generations are rows; that of which backend they came is in none of a file's metadata (C2PA).
        """
        tables = await self.studio.rows("select tablename from pg_tables where schemaname = 'public'")
        for (table,) in tables:
            yield table, repr(await self.studio.rows(f'select to_jsonb(t) from "{table}" t')).encode()
        for path in filter(Path.is_file, (self._folder / "data").rglob("*")):
            yield f"file {path.relative_to(self._folder)}", path.read_bytes()
        store = self.studio.parts.keeping.store
        async for facts in store.walk(""):
            yield facts.key, await store.get(facts.key)
        for workspace_id, id_ in await self.studio.rows("select workspace_id, id from generations"):
            yield (
                f"answer of {id_}",
                repr(await view_of_any_type(self.studio.parts.viewing, workspace_id, id_)).encode(),
            )

    async def was_quoted(self) -> bool:
        """Whether a secret was struck out of anything that a backend said."""
        rows = await self.studio.rows(
            "select 1 from generations where position('***' in backend_reports::text) > 0 limit 1"
        )
        return bool(rows)

    async def check_books(self) -> None:
        assert (await check_books(OPERATOR, self.studio.db)).problems() == []

    async def _make(self, owner: Principal, request: Request) -> None:
        await self.studio.make(owner, **{name: getattr(request, name) for name in request.__struct_fields__})

    async def _newest(self, owner: Principal, making: asyncio.Task[None]) -> str:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                rows = await self.studio.rows(
                    "select id from generations where workspace_id = %s order by id desc limit 1", owner.workspace_id
                )
                if rows:
                    return str(rows[0][0])
                if making.done():
                    await making
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def open_front(vendor: Vendor, database_url: str, folder: Path) -> AsyncIterator[Front]:
    front = Front(vendor, database_url, folder)
    await front.start()
    try:
        yield front
    finally:
        await front.stop()
