"""The extension's authors publish what goes over the wire; ours is that."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import httpx

from safelight.mcp.tasks import EXTENSION
from tests.contract.accounts import Account
from tests.mcp.test_http import modern, modern_headers
from tests.mcp.test_inspector import CLIENTS

_SCHEMAS = (CLIENTS / "@modelcontextprotocol/ext-tasks/dist/core/v2/index.js").as_uri()
_JUDGE = """
const schemas = await import(process.argv[1]);
const found = {};
for (const [name, answers] of Object.entries(JSON.parse(process.argv[2])))
  found[name] = answers.map((answer) => schemas[name].safeParse(answer).error?.message ?? "good");
console.log(JSON.stringify(found));
"""
_DECLARED = {"io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}}}


def judged(answers: dict[str, list[Any]]) -> dict[str, list[str]]:
    node = f"{sys.executable.rpartition('/')[0]}/node"
    ran = subprocess.run(
        [node, "--input-type=module", "-e", _JUDGE, _SCHEMAS, json.dumps(answers)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def ask(account: Account, method: str, params: dict[str, Any], name: str) -> dict[str, Any]:
    body = modern("", {}, **_DECLARED)
    body |= {"method": method, "params": {**params, "_meta": body["params"]["_meta"]}}
    headers = account.headers | modern_headers(name) | {"Mcp-Method": method}
    return dict(httpx.post(f"{account.base_url}/mcp", headers=headers, json=body, timeout=60).json()["result"])


def test_every_answer_about_a_task_is_what_its_schema_says(account: Account) -> None:
    call = {"name": "generate_video", "arguments": {"prompt": "a hill", "model": "clip-slow"}}
    created = ask(account, "tools/call", call, "generate_video")
    task = {"taskId": created["taskId"]}
    standing = [ask(account, "tasks/get", task, created["taskId"])]
    deadline = time.monotonic() + 60
    while standing[-1]["status"] == "working" and time.monotonic() < deadline:
        time.sleep(0.2)
        standing.append(ask(account, "tasks/get", task, created["taskId"]))
    assert standing[-1]["status"] == "completed"
    answers = {
        "CreateTaskResultV2Schema": [created],
        "GetTaskResultV2Schema": standing,
        "CallToolResultV2Schema": [standing[-1]["result"]],
        "CancelTaskResultV2Schema": [ask(account, "tasks/cancel", task, created["taskId"])],
        "UpdateTaskResultV2Schema": [ask(account, "tasks/update", {**task, "inputResponses": {}}, created["taskId"])],
    }
    verdicts = judged(answers)
    assert {verdict for each in verdicts.values() for verdict in each} == {"good"}, verdicts
    assert judged({"CreateTaskResultV2Schema": [{**created, "ttlMs": "1"}]}) != {"CreateTaskResultV2Schema": ["good"]}
