"""The model server with real pipelines on a real Ray, by itself and behind a Safelight. ``make real-ray`` runs this."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from safelight.domain.money import parse_usd
from safelight.domain.pipeline_reader import read_pipelines
from safelight.domain.pipelines import Task
from safelight.model_server.work import Event, Made, Started, Step, Work
from safelight.providers.openai.settings import Options
from tests.real.ray.conftest import pipelines
from tests.real.ray.process import KEY, ModelServerProcess, leftovers, run_command, write_catalog
from tests.support.jobs import a_job
from tests.support.server import Server, eventually

_PRICE = parse_usd("0.01")


def order(model: str = "sd", **more: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "a red fox", "size": "64x64", **more}


def picture_of(reply: httpx.Response) -> bytes:
    assert reply.status_code == 200, reply.text
    return base64.b64decode(reply.json()["data"][0]["b64_json"])


def client_of(models: ModelServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{models.base_url}/v1", api_key=KEY, max_retries=0)


def key_of(order_id: str) -> str:
    """What the model server knows an order by."""
    return a_job(Path("/nowhere"), Options(), id_=order_id).idempotency_key


def is_refused(models: ModelServerProcess, path: str, body: dict[str, Any]) -> bool:
    return models.client.post(path, json=body).status_code == 400


def balance(api: httpx.Client) -> int:
    return parse_usd(api.get("/v2/billing/balance").json()["balance"])


def test_those_that_can_run_and_what_does_not_fit_is_told(models: ModelServerProcess, figures: dict[str, str]) -> None:
    figures["from its start to five replicas"] = f"{time.monotonic() - models.started_at:.0f} s"
    states = models.states()
    assert {name: state["status"] for name, state in states.items()} == {
        "sd": "ready", "wan": "ready", "wan-i2v": "ready", "huge": "failed",
    }  # fmt: skip
    assert "model huge does not fit: needs about 9000.00 GB, has" in states["huge"]["message"]
    reply = models.client.post("/v1/images/generations", json=order("huge"))
    assert reply.status_code == 503 and "does not fit" in reply.json()["error"]["message"]
    assert models.client.get("/health", headers={"Authorization": "Bearer no"}).json().keys() == {"status", "version"}


def test_a_catalog_is_compared_with_what_runs(front: Server, weights: Path) -> None:
    done = run_command(
        "models", "check", "--data-dir", weights / "none", env={"SAFELIGHT_CATALOG": str(weights / "shop.toml")}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sd is there" in done.stdout and "wan is there" in done.stdout


def test_a_picture_through_the_public_api(api: httpx.Client) -> None:
    before = balance(api)
    body = {"model": "sd", "prompt": "a red fox", "seed": 7, "output_format": "png"}
    reply = api.post("/v2/images/generations", json=body)
    assert reply.status_code == 200, reply.text
    file = api.get(reply.json()["data"][0]["url"])
    assert Image.open(io.BytesIO(file.content)).size == (64, 64)
    assert before - balance(api) == _PRICE


def test_a_clip_through_the_public_api(api: httpx.Client) -> None:
    before = balance(api)
    reply = api.post("/v2/videos/generations", json={"model": "wan", "prompt": "a red fox", "duration": 1})
    assert reply.status_code in (200, 202), reply.text
    path = f"/v2/videos/generations/{reply.json()['id']}"
    eventually(lambda: api.get(path, params={"wait": 10}).json()["status"] != "pending", "the clip")
    done = api.get(path).json()
    assert done["status"] == "completed", done
    assert b"ftyp" in api.get(done["data"][0]["url"]).content[:12]
    assert before - balance(api) == _PRICE


def test_a_seed_makes_the_same_picture(models: ModelServerProcess) -> None:
    made = [picture_of(models.client.post("/v1/images/generations", json=order(seed=seed))) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_a_picture_is_made_of_a_picture(models: ModelServerProcess) -> None:
    first = picture_of(models.client.post("/v1/images/generations", json=order(seed=1)))
    large = io.BytesIO()
    Image.open(io.BytesIO(first)).resize((96, 80)).save(large, "png")
    more = {"seed": 1, "strength": 0.5}
    reply = client_of(models).images.edit(
        model="sd",
        prompt="a hill",
        image=("a.png", large.getvalue()),
        size="64x64",
        extra_body=more,  # type: ignore[arg-type]
    )
    assert reply.data and reply.data[0].b64_json
    made = base64.b64decode(reply.data[0].b64_json)
    assert Image.open(io.BytesIO(made)).size == (64, 64) and made != first


def test_a_clip_is_made_of_a_picture(models: ModelServerProcess) -> None:
    first = picture_of(models.client.post("/v1/images/generations", json=order(seed=1)))
    client = client_of(models)
    job = client.videos.create(
        model="wan-i2v",
        prompt="a hill",
        input_reference=("a.png", first),
        seconds="1",
        size="64x64",  # type: ignore[arg-type]
    )
    done = models.job(f"/v1/videos/{job.id}")
    assert done["status"] == "completed" and done["seconds"] == "1", done
    assert b"ftyp" in client.videos.download_content(job.id).content[:12]


def test_a_size_that_cannot_be_is_refused_by_name(models: ModelServerProcess) -> None:
    for model, size, multiple in (("sd", "64x60", 8), ("wan", "64x72", 16)):
        path = "/v1/videos" if model == "wan" else "/v1/images/generations"
        body = order(model) | {"size": size}
        eventually(partial(is_refused, models, path, body), "its facts are known")
        error = models.client.post(path, json=body).json()["error"]
        assert (error["param"], error["code"]) == ("size", "invalid_size")
        assert f"multiples of {multiple}" in error["message"]


def test_two_replicas_share_the_load(models: ModelServerProcess, figures: dict[str, str]) -> None:
    prefer = {"Prefer": "respond-async"}
    body = order(steps=40)
    ids = [models.client.post("/v1/images/generations", json=body, headers=prefer).json()["id"] for _ in range(8)]
    done = [models.job(f"/v1/images/{job_id}") for job_id in ids]
    assert [job["status"] for job in done] == ["completed"] * 8
    shares = sorted(Counter(job["replica"]["pid"] for job in done).values())
    figures["eight at once on two replicas"] = " and ".join(map(str, shares))
    assert len(shares) == 2 and min(shares) >= 3


def test_a_canceled_job_leaves_its_replica_free(models: ModelServerProcess, figures: dict[str, str]) -> None:
    job_id = models.client.post("/v1/videos", json=order("wan", seconds="1", steps=400)).json()["id"]
    path = f"/v1/videos/{job_id}"
    eventually(lambda: models.client.get(path).json().get("steps", {}).get("done", 0) >= 3, "some steps")
    started = time.monotonic()
    assert models.client.delete(path).json()["deleted"]
    stopped = models.client.get(path).json()
    assert stopped["status"] == "cancelled" and stopped["steps"]["done"] < 200
    next_id = models.client.post("/v1/videos", json=order("wan", seconds="1", steps=1)).json()["id"]
    eventually(lambda: models.client.get(f"/v1/videos/{next_id}").json()["status"] != "queued", "the next begins")
    figures["from a cancel to the next order on that replica"] = f"{time.monotonic() - started:.2f} s"
    assert models.client.get(path).json()["steps"]["done"] == stopped["steps"]["done"]
    assert models.job(f"/v1/videos/{next_id}")["status"] == "completed"


async def test_not_more_than_three_more_steps_are_run_after_a_cancel(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safelight.model_server import replica as replicas
    from safelight.model_server.replica import PipelineReplica

    monkeypatch.setattr(replicas, "_TOLD_EVERY_SECONDS", 0.0)

    (entry,) = [each for each in read_pipelines(pipelines(), source="test") if each.name == "wan"]
    replica = PipelineReplica(entry, str(weights))
    work = Work(id="a", task=Task.TEXT_TO_VIDEO, prompt="a hill", seed=1, width=64, height=64, frames=9, steps=200)
    events: list[Event] = []
    running = replica.run(work)
    async for event in running:
        events.append(event)
        if event == Step(5, 200):
            break
    await running.aclose()
    assert isinstance(events[0], Started) and not isinstance(events[-1], Made)
    scheduler = replica._loaded.for_task(Task.TEXT_TO_VIDEO).scheduler
    # The event is one of another thread: by the time that it is read, one more step may have begun.
    assert 5 <= scheduler._step_index <= 5 + 3, scheduler._step_index
    ends = [
        event
        async for event in replica.run(
            Work(**{name: getattr(work, name) for name in work.__struct_fields__} | {"steps": 1})
        )
    ]
    assert isinstance(ends[-1], Made)


def test_a_cancel_through_the_public_api_costs_nothing(
    api: httpx.Client, models: ModelServerProcess, figures: dict[str, str]
) -> None:
    before = balance(api)
    body = {"model": "wan", "prompt": "a hill", "duration": 1, "provider_options": {"steps": 500}}
    generation_id = api.post("/v2/videos/generations", json=body).json()["id"]
    path = f"/v1/videos/{key_of(generation_id)}"
    with api.stream("GET", f"/v2/generations/{generation_id}/events") as events:
        told = (json.loads(line.removeprefix("data:")) for line in events.iter_lines() if line.startswith("data:"))
        assert next(each["progress"] for each in told if each.get("progress")) < 1, "its steps are told"
    assert models.client.get(path).json()["status"] == "in_progress"
    started = time.monotonic()
    assert api.delete(f"/v2/videos/generations/{generation_id}").status_code in (200, 202)
    eventually(lambda: models.client.get(path).json()["status"] == "cancelled", "it is stopped there")
    figures["from a cancel at the public API to its stop"] = f"{time.monotonic() - started:.2f} s"
    eventually(lambda: balance(api) == before, "nothing is charged")


def test_a_replica_that_is_killed_costs_its_client_nothing_but_time(
    api: httpx.Client, models: ModelServerProcess
) -> None:
    before = balance(api)
    body = {"model": "sd", "prompt": "a hill", "output_format": "png", "provider_options": {"steps": 300}}
    replies: list[httpx.Response] = []
    making = threading.Thread(target=lambda: replies.append(api.post("/v2/images/generations", json=body)))
    making.start()

    def job() -> dict[str, Any]:
        newest = api.get("/v2/generations", params={"limit": 1}).json()["data"][0]["id"]
        found: dict[str, Any] = models.client.get(f"/v1/images/{key_of(newest)}").json()
        return found

    eventually(lambda: job().get("steps", {}).get("done", 0) >= 5, "it is under way")
    killed = job()
    os.kill(killed["replica"]["pid"], signal.SIGKILL)
    lost = models.job(f"/v1/images/{killed['id']}")
    assert (lost["status"], lost["error"]["code"]) == ("failed", "replica_lost")
    making.join(120)
    (reply,) = replies
    assert reply.status_code == 200, reply.text
    again = key_of(f"{reply.json()['id']}.1")
    assert models.client.get(f"/v1/images/{again}").json()["replica"]["pid"] != killed["replica"]["pid"]
    assert before - balance(api) == _PRICE


@pytest.mark.parametrize("source", ["./pickled", "./nothing"])
def test_a_folder_without_safetensors_is_refused(weights: Path, source: str) -> None:
    entry = {"name": "x", "source": source, "tasks": ["text-to-image"], "gpus": 0}
    catalog = write_catalog(weights / f"{source[2:]}.toml", [entry])
    done = run_command("model-server", "--catalog", catalog, "--port", "0")
    assert done.returncode == 1
    assert ("safetensors alone are loaded" if source == "./pickled" else "there is no such folder") in done.stderr


def test_what_kuberay_is_pointed_to_builds_an_application(weights: Path) -> None:
    from ray.serve import Application

    from safelight.model_server.application import build

    assert isinstance(build({"catalog": str(weights / "models.toml"), "key": "env:MODEL_SERVER_KEY"}), Application)


def test_nothing_is_left_of_it(models: ModelServerProcess, figures: dict[str, str]) -> None:
    started = time.monotonic()
    assert len(models.processes()) > 8
    assert models.stop() == 0
    figures["its stop"] = f"{time.monotonic() - started:.1f} s"
    assert leftovers() == []
