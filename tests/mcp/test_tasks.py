"""Videos as tasks: for a client that declares the extension, and for none that does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import psutil
import pytest
from mcp import MCPError
from mcp.client import ClaimContext, Client, ClientExtension, ClientSession, ResultClaim, advertise
from mcp_types import CallToolResult, Request, RequestParams, Result

from safelight.mcp.tasks import EXTENSION
from tests.contract.accounts import Account, Accounts
from tests.mcp.hosts import facts, host, links, words
from tests.support.server import Server


class TaskResult(Result):
    """A task as ``tools/call`` answers with it, and as ``tasks/get`` shows it."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int


class Standing(Result):
    task_id: str
    status: str
    created_at: str
    ttl_ms: int | None
    poll_interval_ms: int
    status_message: str | None = None
    result: dict[str, Any] | None = None


class TaskParams(RequestParams):
    task_id: str


class TaskRequest(Request[TaskParams, str]):
    name_param = "taskId"


async def about(session: ClientSession, method: str, task_id: str) -> Standing:
    return await session.send_request(TaskRequest(method=method, params=TaskParams(task_id=task_id)), Standing)


async def ended(session: ClientSession, task_id: str) -> Standing:
    async with asyncio.timeout(60):
        while (found := await about(session, "tasks/get", task_id)).status == "working":
            await asyncio.sleep(0.2)
    return found


class Tasks(ClientExtension):
    """A host's own part of the extension: it asks until the task has ended."""

    identifier = EXTENSION

    def __init__(self) -> None:
        self.created: list[TaskResult] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        async def resolve(task: TaskResult, context: ClaimContext) -> CallToolResult:
            self.created.append(task)
            found = await ended(context.session, task.task_id)
            return CallToolResult.model_validate(found.result)

        return [ResultClaim(result_type="task", model=TaskResult, resolve=resolve)]


async def order(client: Client, **arguments: Any) -> TaskResult:
    found = await client.session.call_tool("generate_video", {"prompt": "a hill", **arguments}, allow_claimed=True)
    assert isinstance(found, TaskResult)
    return found


async def test_a_video_is_a_task_whose_result_is_that_of_the_tool(account: Account) -> None:
    tasks = Tasks()
    async with host(account, "auto", extensions=[tasks]) as client:
        assert EXTENSION in (client.server_capabilities.extensions or {})
        result = await client.call_tool("generate_video", {"prompt": "a hill", "model": "clip-slow"})
        found = await about(client.session, "tasks/get", tasks.created[0].task_id)
    [task] = tasks.created
    made = facts(result)
    assert (task.task_id, task.status, task.ttl_ms) == (made["id"], "working", None)
    assert made["status"] == found.status == "completed"
    assert [link.mime_type for link in links(result)] == ["video/mp4"]
    ends = datetime.fromisoformat(found.created_at).timestamp() * 1000 + (found.ttl_ms or 0)
    assert abs(ends - datetime.fromisoformat(made["data"][0]["deletes_at"]).timestamp() * 1000) <= 1


async def test_an_image_is_no_task(account: Account) -> None:
    async with host(account, extensions=[Tasks()]) as client:
        assert facts(await client.call_tool("generate_image", {"prompt": "a hill"}))["generations"]


async def test_what_is_refused_is_no_task(account: Account) -> None:
    async with host(account, extensions=[Tasks()]) as client:
        result = await client.call_tool("generate_video", {"prompt": "a hill", "duration": 7})
    assert result.is_error


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_a_client_that_declares_nothing_gets_the_video_itself(account: Account, era: str) -> None:
    async with host(account, era) as client:
        assert facts(await client.call_tool("generate_video", {"prompt": "a hill"}))["status"] == "completed"


async def test_in_the_revision_before_there_are_no_tasks(account: Account) -> None:
    async with host(account, "legacy", extensions=[advertise(EXTENSION)]) as client:
        assert facts(await client.call_tool("generate_video", {"prompt": "a hill"}))["status"] == "completed"


async def test_a_failed_video_is_a_task_with_an_error_for_a_result(account: Account) -> None:
    async with host(account, extensions=[Tasks()]) as client:
        result = await client.call_tool("generate_video", {"prompt": "a hill", "model": "clip-broken"})
    assert result.is_error
    assert "generation_failed" in words(result)


async def test_a_task_is_canceled_and_its_hold_released(account: Account) -> None:
    async with host(account, extensions=[Tasks()]) as client:
        task = await order(client, model="clip-endless")
        held = facts(await client.call_tool("get_balance", {}))["balance"]
        request = TaskRequest(method="tasks/cancel", params=TaskParams(task_id=task.task_id))
        await client.session.send_request(request, Result)
        found = await ended(client.session, task.task_id)
        balance = facts(await client.call_tool("get_balance", {}))["balance"]
    assert (found.result or {})["isError"]
    assert "canceled" in str(found.result)
    assert (held, balance) == ("999.50", "1000.00")


async def test_anothers_task_is_as_one_that_never_was(account: Account, accounts: Accounts) -> None:
    never = "req-01ARZ3NDEKTSV4RRFFQ69G5FAV"
    async with host(account, extensions=[Tasks()]) as mine, host(accounts.create(), extensions=[Tasks()]) as theirs:
        task = await order(mine)
        await ended(mine.session, task.task_id)
        said: dict[str, list[str]] = {}
        for task_id in (task.task_id, never, "nonsense", "../../v2/models"):
            for method in ("tasks/get", "tasks/cancel", "tasks/update"):
                with pytest.raises(MCPError) as refused:
                    await about(theirs.session, method, task_id)
                said.setdefault(task_id, []).append(f"{refused.value.code} {refused.value.message}")
    assert said[task.task_id] == said[never]


async def test_a_task_outlives_the_process_that_took_it(
    account: Account, accounts: Accounts, mcp_server: Server
) -> None:
    async with host(account, extensions=[Tasks()]) as client:
        task = await order(client, model="clip-slow")
    api = [process for process in mcp_server.processes() if "safelight.cli.child serve" in " ".join(process.cmdline())]
    assert api
    for process in api:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(api, timeout=10)
    mcp_server.wait_until_ready()
    async with host(account, extensions=[Tasks()]) as client:
        found = await ended(client.session, task.task_id)
        balance = facts(await client.call_tool("get_balance", {}))["balance"]
    assert (found.result or {})["structuredContent"]["status"] == "completed"
    assert balance == "999.50"
    assert accounts.traces(account)[0] == 1
