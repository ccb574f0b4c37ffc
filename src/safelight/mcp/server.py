"""The server put together on the SDK: who calls, what for, and what goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, cast

import msgspec
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from safelight import __version__
from safelight.mcp import orders, resources, results, tasks, tools
from safelight.mcp.api import Api, Json, Refused
from safelight.mcp.arguments import VideoArguments, read
from safelight.mcp.generations import look
from safelight.mcp.keys import CallKey, Keys, Origin, key_of_words
from safelight.mcp.orders import Call
from safelight.mcp.results import Keep, keep_nothing
from safelight.mcp.schemas import SHAPES, input_schema, tools_of

Context = ServerRequestContext[Any, Any]

_INSTRUCTIONS = (
    "Makes images and videos on this Safelight server. Each is charged to the workspace of the key: quote tells the "
    "price before, get_balance what is left. Refer to an image made here by its id (req-...). Files are deleted at the "
    "time that each answer tells."
)
_TOOLS_ARE_FRESH = CacheHint(ttl_ms=300_000, scope="private")


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a request: the API with their key, and what tells their requests from others'."""

    api: Api
    origin: Origin


def make_server(caller_of: Callable[[Context], Caller], *, keep: Keep = keep_nothing) -> Server[Any]:
    """The server, of both current revisions. ``keep`` keeps files where it runs."""
    desk = _Desk(caller_of, keep)
    server: Server[Any] = Server(
        "safelight",
        title="Safelight",
        version=__version__,
        instructions=_INSTRUCTIONS,
        cache_hints={"tools/list": _TOOLS_ARE_FRESH},
        get_tool_input_schema=lambda name: input_schema(name) if name in SHAPES else None,
        on_list_tools=desk.list_tools,
        on_call_tool=desk.call_tool,
        on_list_resources=desk.list_resources,
        on_list_resource_templates=desk.list_resource_templates,
        on_read_resource=desk.read_resource,
    )
    server.extensions[tasks.EXTENSION] = {}
    server.add_request_handler("tasks/get", tasks.TaskParams, desk.get_task)
    server.add_request_handler("tasks/cancel", tasks.TaskParams, desk.cancel_task)
    server.add_request_handler("tasks/update", tasks.UpdateParams, desk.update_task)
    return server


class _Desk:
    """What answers each request."""

    def __init__(self, caller_of: Callable[[Context], Caller], keep: Keep) -> None:
        self._caller_of = caller_of
        self._keep = keep
        self._keys = Keys()

    async def list_tools(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        try:
            models = cast("list[Json]", await self._caller_of(ctx).api.get("/v2/models", {}))
        except Refused:
            models = []  # the tools are there all the same
        return ListToolsResult(tools=tools_of(models))

    async def call_tool(self, ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        tool = tools.TOOLS.get(params.name)
        if tool is None:
            known = ", ".join(tools.TOOLS)
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name[:80]!r}. There are: {known}.")
        given = dict(params.arguments or {})
        _check_text(ctx.params)
        caller = self._caller_of(ctx)
        key = self._key_of(caller, ctx, given)
        has_progress = "progress_token" in (ctx.meta or {})
        call = Call(api=caller.api, key=key.text, report=_Progress(ctx), is_watched=has_progress)
        try:
            if params.name == "generate_video" and _takes_tasks(ctx):
                generation_id = await orders.order_video(call, read(given, VideoArguments))
                # The SDK passes what an extension answers through as it is.
                return cast(CallToolResult, tasks.created(generation_id))
            return await tool(call, given, self._keep)
        except Refused as error:
            return results.refusal(error)
        except asyncio.CancelledError:
            self._keys.answer_is_lost(key)
            raise

    def _key_of(self, caller: Caller, ctx: Context, given: Json) -> CallKey:
        own = given.get("idempotency_key")
        if isinstance(own, str) and own:
            return CallKey(key_of_words(own), None)
        return self._keys.key_of(caller.origin, ctx.request_id, ctx.params or {})

    async def list_resources(self, ctx: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return ListResourcesResult(resources=[])

    async def list_resource_templates(
        self, ctx: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=[resources.TEMPLATE])

    async def read_resource(self, ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        try:
            return await resources.read(self._caller_of(ctx).api, str(params.uri))
        except Refused as error:
            _raise(error)

    async def get_task(self, ctx: Context, params: tasks.TaskParams) -> dict[str, Any]:
        api = self._caller_of(ctx).api
        try:
            found = await look(api, params.task_id)
        except Refused as error:
            _raise(error)
        if found["status"] == "pending":
            return tasks.standing(found, None)
        return tasks.standing(found, await results.of_generation(api, found, self._keep, is_wanted=True))

    async def cancel_task(self, ctx: Context, params: tasks.TaskParams) -> EmptyResult:
        call = Call(api=self._caller_of(ctx).api, key="", report=_Progress(ctx), is_watched=False)
        try:
            await tools.cancel(call, params.task_id)
        except Refused as error:
            _raise(error)
        return EmptyResult()

    async def update_task(self, ctx: Context, params: tasks.UpdateParams) -> EmptyResult:
        try:
            await look(self._caller_of(ctx).api, params.task_id)
        except Refused as error:
            _raise(error)
        return EmptyResult()


def _check_text(params: object) -> None:
    """Refuse what JSON's escapes can write and no text has. Raises ``MCPError``."""
    try:
        msgspec.json.encode(params)
    except UnicodeEncodeError:
        raise MCPError(INVALID_PARAMS, "A string has half a surrogate pair. Send whole characters.") from None


def _takes_tasks(ctx: Context) -> bool:
    return tasks.are_known_to(ctx.session.client_capabilities, ctx.protocol_version)


class _Progress:
    """Reports how far a request is, where that was asked for. Each report is further on than the one before."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last = -1.0

    async def __call__(self, progress: float, message: str) -> None:
        self._last = max(0.0, min(progress, 1.0), self._last + 0.0001)
        await self._ctx.session.report_progress(self._last, 1.0, message)


def _raise(error: Refused) -> NoReturn:
    """A method of the protocol has no result that is an error."""
    raise MCPError(INVALID_PARAMS, error.message, {"code": error.answer_code, "param": error.param})
