"""sd-server makes one picture at a time; who waits, who leaves, and what can be stopped."""

from __future__ import annotations

import json
import re
import socket
import threading
from typing import Any

import httpx

from tests.real.engine import Engine
from tests.real.pictures import decode, generate
from tests.support.server import eventually

SLOW = {"prompt": "a red fox", "size": "256x256"}
JOB = {"prompt": "a red fox", "width": 64, "height": 64, "seed": 5}


def send_and_leave(engine: Engine) -> None:
    """Ask for a picture, and hang up when it is being made."""
    begun = engine.begun
    body = json.dumps(SLOW).encode()
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", engine.port)) as connection:
        connection.sendall(head.encode() + body)
        eventually(lambda: engine.begun > begun, "the picture is begun")


def test_who_leaves_does_not_stop_the_picture(engine: Engine, client: httpx.Client) -> None:
    finished = engine.finished
    send_and_leave(engine)
    assert len(generate(client, size="8x8")) == 1
    assert engine.finished == finished + 2, "the next one waited for the one that nobody wants"


def test_other_questions_are_answered_while_a_picture_is_made(engine: Engine, client: httpx.Client) -> None:
    finished = engine.finished
    send_and_leave(engine)
    assert client.get("/v1/models").status_code == 200
    assert engine.finished == finished
    eventually(lambda: engine.finished == finished + 1, "the picture is finished")


def test_of_two_at_once_one_waits(engine: Engine) -> None:
    begun, finished = engine.begun, engine.finished

    def ask() -> None:
        with httpx.Client(base_url=engine.base_url, timeout=120) as client:
            generate(client, **SLOW)

    both = [threading.Thread(target=ask) for _ in range(2)]
    for thread in both:
        thread.start()
    eventually(lambda: engine.finished == finished + 1, "one is finished")
    for thread in both:
        thread.join()
    steps = re.findall("generating image: |generate_image completed", engine.log)[begun + finished :]
    assert steps == ["generating image: ", "generate_image completed"] * 2


def submit(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/sdcpp/v1/img_gen", json=JOB | body)
    assert answer.status_code == 202
    job: dict[str, Any] = answer.json()
    return job


def state(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = client.get(job["poll_url"]).json()
    return told


def test_a_job_of_the_native_api_is_polled(client: httpx.Client) -> None:
    job = submit(client)
    assert job.keys() == {"created", "id", "kind", "poll_url", "status"}
    assert job["status"] in {"queued", "generating"}, "it may be under way by then"
    assert job["poll_url"] == f"/sdcpp/v1/jobs/{job['id']}"
    eventually(lambda: state(client, job)["status"] == "completed", "the job is completed")
    told = state(client, job)
    assert (told["error"], told["queue_position"], told["result"]["output_format"]) == (None, 0, "png")
    assert [decode(image["b64_json"]).size for image in told["result"]["images"]] == [(64, 64)]


def test_a_job_can_be_cancelled_while_it_waits_and_not_afterwards(client: httpx.Client) -> None:
    running, waiting = submit(client, width=256, height=256), submit(client)
    eventually(lambda: state(client, running)["status"] == "generating", "the first is being made")
    assert state(client, waiting)["queue_position"] == 1

    late = client.post(f"{running['poll_url']}/cancel")
    early = client.post(f"{waiting['poll_url']}/cancel")
    assert late.status_code == 409
    assert late.json() == {"error": "job is currently generating and cannot be interrupted yet"}
    assert (early.status_code, early.json()["status"]) == (200, "cancelled")
    assert state(client, waiting)["error"] == {"code": "cancelled", "message": "job cancelled by client"}
    eventually(lambda: state(client, running)["status"] == "completed", "the first is completed")
    after = client.post(f"{running['poll_url']}/cancel")
    assert (after.status_code, after.json()["status"]) == (200, "completed")


def test_a_job_that_it_does_not_know(client: httpx.Client) -> None:
    for answer in (client.get("/sdcpp/v1/jobs/none"), client.post("/sdcpp/v1/jobs/none/cancel")):
        assert (answer.status_code, answer.json()) == (404, {"error": "job not found"})
