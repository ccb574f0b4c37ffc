"""One job's page: what is on record of it, for those whose it is, and what they can do with it."""

from __future__ import annotations

import base64
import io
import json
import re
from decimal import Decimal
from html import unescape
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House
from tests.dashboard.test_jobs import video
from tests.support.server import eventually

NEVER_WAS = "req-00000000000000000000000000"
_drawn = io.BytesIO()
Image.new("RGB", (64, 64), "teal").save(_drawn, "PNG")
PIXELS = _drawn.getvalue()
PROMPT = "A <fox> & a \u2603"


class Made(msgspec.Struct, frozen=True):
    account: Account
    image: str
    failed: str
    clip: str


@pytest.fixture(scope="module")
def made(house: House) -> Made:
    account = house.create()
    reference = {"url": f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}", "role": "reference_image"}
    with account.http() as client:
        house.run(
            "insert into webhook_endpoints (workspace_id, url, secret) "
            "select id, 'http://127.0.0.1:9/told', 'whsec_eA==' from workspaces where name = %s",
            account.workspace,
        )
        body = {
            "model": "still",
            "prompt": PROMPT,
            "negative_prompt": "no rain",
            "seed": 7,
            "provider_options": {"steps": 3},
            "images": [reference],
        }
        image = client.post("/v2/images/generations", json=body)
        assert image.status_code == 200, image.text
        clip = video(client, "clip")
        failed = video(client, "failing-video")
        for each in (clip, failed):
            eventually(lambda: ended(house, each), "it ended")  # noqa: B023
    return Made(account, image.json()["id"], failed, clip)


def ended(house: House, id_: str) -> bool:
    return house.run("select finished_at is not null from generations where id = %s", id_) == [(True,)]


def text_of(page: str) -> str:
    """What is read on a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_it_tells_what_was_asked_for_and_what_it_cost(made: Made, visitor: Enter) -> None:
    page = visitor(made.account.key).get(f"/dashboard/jobs/{made.image}")
    assert page.status_code == 200
    text = text_of(page.text)
    for told in (
        PROMPT,
        "Negative prompt no rain",
        "Size 1:1, 1K (64 × 64)",
        "Seed 7",
        "steps 3",
        "Reference image image/png",
        "API (/v2)",
        "Accepted , $0.05 held",
        "Submitted , a backend was asked",
        "Delivered and settled , $0.05 charged, $0.00 released",
        "Price $0.05 × 1 image = $0.05",
        "Charged $0.05 × 1 image = $0.05",
        "Taken up 1 time by a runner.",
        "generation.completed",
        "http://127.0.0.1:9/told",
    ):
        assert told in text, told
    assert "<fox>" not in page.text
    assert "Receipt of deletion" not in text, "nothing was deleted"
    assert "What backends said" not in text, "that is the operator's"


def test_its_ledger_lines_sum_to_zero(house: House, made: Made, visitor: Enter) -> None:
    for id_ in (made.image, made.clip, made.failed):
        page = visitor(made.account.key).get(f"/dashboard/jobs/{id_}").text
        lines = re.findall(r'<tr><th scope="row">(hold|settle).*?</tr>', page, re.S)
        assert lines == ["hold", "settle"]
        rows = [
            [Decimal(cell.replace("$", "").replace(",", "")) for cell in re.findall(r'class="number">([^<]+)<', row)]
            for row in re.findall(r'<tr><th scope="row">(?:hold|settle)(.*?)</tr>', page, re.S)
        ]
        on_record = house.run(
            "select available_nanos, held_nanos, revenue_nanos from transfers where generation_id = %s order by id", id_
        )
        assert [[int(amount * 10**9) for amount in row[:3]] for row in rows] == [list(row) for row in on_record]
        assert [row[3] for row in rows] == [0, 0]


def test_a_failure_is_told_with_its_reason_and_what_backends_said_to_the_operator_alone(
    house: House, made: Made, visitor: Enter
) -> None:
    address = f"/dashboard/jobs/{made.failed}?workspace={made.account.workspace}"
    text = text_of(visitor(made.account.key).get(address).text)
    assert "nothing was charged" in text
    assert "Failed and settled , $0.00 charged, $0.20 released" in text
    assert "noop" not in text
    operator = text_of(visitor(house.code()).get(address).text)
    assert "What backends said" in operator
    ((outcome, connection),) = house.run(
        "select backend_reports->0->>'outcome', backend_reports->0->>'connection' from generations where id = %s",
        made.failed,
    )
    assert f"Backend: {outcome} , {connection}" in operator
    assert connection == "noop"
    assert f"{outcome} permanent" in operator


def test_an_operator_is_led_to_the_workspace_it_is_in(house: House, made: Made, visitor: Enter) -> None:
    operator = visitor(house.code())
    led = operator.get(f"/dashboard/jobs/{made.image}?workspace={house.create().workspace}")
    assert led.status_code == 303
    assert led.headers["location"] == f"/dashboard/jobs/{made.image}?workspace={made.account.workspace}"
    assert operator.get(led.headers["location"]).status_code == 200
    assert operator.get(f"/dashboard/jobs/{NEVER_WAS}").status_code == 404


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("GET", "/provenance/0"),
        ("GET", "/receipt.json"),
        ("GET", "/receipt.jws"),
        ("POST", "/cancel"),
        ("POST", "/delete"),
    ],
)
def test_another_workspaces_job_is_as_one_that_never_was(
    house: House, made: Made, visitor: Enter, method: str, below: str
) -> None:
    stranger = visitor(house.create().key)
    answers = []
    for id_ in (made.image, NEVER_WAS):
        answer = stranger.request(method, f"/dashboard/jobs/{id_}{below}")
        headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
        answers.append((answer.status_code, headers, answer.text.replace(id_, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_who_may_only_read_is_offered_nothing_else(house: House, made: Made, visitor: Enter) -> None:
    reader = visitor(house.key_with(made.account, "read").key)
    page = reader.get(f"/dashboard/jobs/{made.image}").text
    assert "Run again" not in page
    assert "Delete now" not in page
    for below in ("cancel", "delete"):
        assert reader.post(f"/dashboard/jobs/{made.image}/{below}").status_code == 403


def test_provenance_is_valid_until_a_byte_of_the_file_changes(house: House, made: Made, visitor: Enter) -> None:
    reader = visitor(made.account.key)
    address = f"/dashboard/jobs/{made.clip}/provenance/0"
    text = text_of(reader.get(address, headers={"hx-request": "true"}).text)
    assert text.startswith("provenance valid Signed, and not a byte has changed. Signer Safelight")
    assert "To the job" in reader.get(address).text, "a page of its own without scripts"
    ((key,),) = house.run("select key from media where generation_id = %s", made.clip)
    (file,) = (path for path in Path(house.server.data_dir).rglob(Path(key).name) if path.is_file())
    original = file.read_bytes()
    file.chmod(0o600)
    try:
        file.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        changed = text_of(reader.get(address).text)
        file.write_bytes(PIXELS)
        replaced = text_of(reader.get(address).text)
    finally:
        file.write_bytes(original)
    assert "changed The stored file is not the one that was made." in changed
    assert "changed The stored file is not the one that was made." in replaced
    assert "provenance valid" in text_of(reader.get(address).text)
    for other in ("1", "x", "-1"):
        assert reader.get(f"/dashboard/jobs/{made.clip}/provenance/{other}").status_code == 404


def test_a_job_that_waits_or_runs_is_canceled_and_its_hold_released(house: House, visitor: Enter) -> None:
    account = house.create()
    owner = visitor(account.key)
    with account.http() as client:
        id_ = video(client, "endless-clip")
        eventually(
            lambda: house.run("select state::text from generations where id = %s", id_) == [("running",)], "it runs"
        )
        answer = owner.post(f"/dashboard/jobs/{id_}/cancel")
        assert answer.status_code == 303
        assert answer.headers["location"] in (
            f"/dashboard/jobs/{id_}?workspace={account.workspace}&said=job_canceled",
            f"/dashboard/jobs/{id_}?workspace={account.workspace}&said=job_cancel_requested",
        )
        eventually(lambda: ended(house, id_), "it is canceled")
        text = text_of(owner.get(answer.headers["location"]).text)
        assert "Cancellation asked for" in text
        assert "Canceled and settled , $0.00 charged, $0.20 released" in text
        again = owner.post(f"/dashboard/jobs/{id_}/cancel")
    balance = house.run(
        "select available_nanos, held_nanos from accounts join workspaces w on w.id = workspace_id where w.name = %s",
        account.workspace,
    )
    assert balance == [(1000 * 10**9, 0)]
    assert again.status_code == 303
    audited = house.run("select action, detail->>'became' from audit_log where target = %s order by id", id_)
    assert [action for action, _ in audited] == ["generation.cancel", "generation.cancel"]


def test_deleted_media_is_gone_and_leaves_a_receipt(house: House, visitor: Enter) -> None:
    account = house.create()
    owner = visitor(account.key)
    with account.http() as client:
        image = client.post("/v2/images/generations", json={"model": "still", "prompt": "a hill at dawn"}).json()
    id_, address = image["id"], f"/dashboard/jobs/{image['id']}"
    assert owner.get(f"{address}/receipt.json").status_code == 404
    assert "a hill at dawn" in owner.get(address).text
    answer = owner.post(f"{address}/delete")
    assert answer.headers["location"] == f"{address}?workspace={account.workspace}&said=media_deleted"
    page = owner.get(answer.headers["location"]).text
    text = text_of(page)
    assert "The media is gone, and so are the prompt and the parameters" in text
    assert "Prompt and parameters are gone after the deletion time, by design." in text
    assert "a hill at dawn" not in page
    assert "The same request" not in text
    assert "Media deleted , its absence was seen" in text
    assert owner.get(image["data"][0]["url"]).status_code == 410
    assert "The file is deleted." in owner.get(f"{address}/provenance/0").text
    receipt = owner.get(f"{address}/receipt.json").json()
    ((digest,),) = house.run("select encode(sha256, 'hex') from media where generation_id = %s", id_)
    assert [each["sha256"] for each in receipt["files"]] == [digest]
    assert digest in page
    signed = owner.get(f"{address}/receipt.jws")
    assert signed.headers["content-disposition"] == f'attachment; filename="receipt-{id_}.jws"'
    payload = signed.text.split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["id"] == id_
    assert owner.get(f"{address}/receipt.pdf").status_code == 404
    assert owner.post(f"{address}/delete").status_code == 303, "a repeat does no harm"
    assert house.run("select count(*) from audit_log where target = %s and action = 'media.delete'", id_) == [(2,)]


def test_an_image_that_is_delivered_once_is_not_used_up_by_its_page(house: House, visitor: Enter) -> None:
    account = house.create()
    with account.http() as client:
        body = {"model": "still", "prompt": "a hill", "store": False}
        image = client.post("/v2/images/generations", json=body).json()
        page = visitor(account.key).get(f"/dashboard/jobs/{image['id']}").text
        shown = [unescape(each) for each in re.findall(r'<img src="([^"]+)"', page)]
        assert "Delivered once" in page
        assert [client.get(each).status_code for each in shown] == [200]
        assert client.get(image["data"][0]["url"]).status_code == 200, "it is there still"
