"""Files go on time, for good and with a receipt; what was asked for goes with them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from safelight.db.pool import statement
from tests.delivery.house import House
from tests.support.server import eventually

CANARY = "canary-4d1f0c prompt of a customer"


def make_due(house: House, generation_id: str) -> None:
    for table, column in (("media", "generation_id"), ("generations", "id")):
        house.sql(f"update {table} set deletes_at = now() - interval '1 s' where {column} = %s", generation_id)


def is_purged(house: House, generation_id: str) -> bool:
    rows = house.sql("select deleted_at is not null from media where generation_id = %s", generation_id)
    return bool(rows) and all(deleted for (deleted,) in rows)


def test_at_its_time_a_file_is_gone_at_once_and_soon_for_good(house: House) -> None:
    made = house.image(prompt=CANARY)
    url = made["data"][0]["url"]
    ((key,),) = house.sql("select key from media where generation_id = %s", made["id"])
    assert key in house.files()
    make_due(house, made["id"])
    assert house.get(url).status_code == 410, "before any sweep"
    eventually(lambda: is_purged(house, made["id"]), "the sweep of the worker")
    assert key not in house.files()
    assert house.sql("select request from generations where id = %s", made["id"]) == [(None,)]


def test_killed_anywhere_it_ends_purged_with_one_receipt(still_house: House) -> None:
    house = still_house
    kept, due = house.plant(b"kept"), []
    for point in ("expire-after-tombstone", "expire-after-delete", "expire-after-purge"):
        fresh = [house.plant(f"{point} {number}".encode(), seconds=-5) for number in range(2)]
        dead = house.cli("sweep", "--json", killpoint=point)
        assert dead.returncode == -9, dead.stderr
        due += fresh
        assert all(house.get(each.url).status_code == 410 for each in due)
        assert all(is_purged(house, each.id) == (point == "expire-after-purge") for each in fresh)
        # Those that a living sweep may still be at are left to it for a minute.
        house.sql("update media set tombstoned_at = tombstoned_at - interval '2 minutes' where deleted_at is null")
    done = house.cli("sweep", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(is_purged(house, each.id) for each in due)
    assert not {each.key for each in due} & house.files() and kept.key in house.files()
    receipts = [house.http.get(f"/v2/generations/{each.id}/receipt").json()["files"] for each in due]
    expected = [[hashlib.sha256(each.content).hexdigest()] for each in due]
    assert [[file["sha256"] for file in files] for files in receipts] == expected
    assert house.get(kept.url).content == b"kept"


def test_no_receipt_while_one_of_two_files_is_kept(still_house: House) -> None:
    house = still_house
    due = house.plant(b"first", seconds=-5)
    kept = house.plant(b"second", generation_id=due.id, index=1)
    house.cli("sweep")
    assert not Path(due.path).exists() and Path(kept.path).exists()
    answer = house.http.get(f"/v2/generations/{due.id}/receipt")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), answer.text
    house.sql("update media set deletes_at = now() - interval '1 s' where generation_id = %s", due.id)
    house.cli("sweep")
    answer = house.http.get(f"/v2/generations/{due.id}/receipt")
    assert [file["index"] for file in answer.json()["files"]] == [0, 1]


def test_a_receipt_tells_what_was_deleted_and_nothing_more(house: House) -> None:
    made = house.image(prompt=CANARY, retention_seconds=86400)
    path = f"/v2/generations/{made['id']}/receipt"
    early = house.http.get(path)
    assert early.status_code == 404 and "kept until" in early.json()["error"]["message"]
    content = house.get(made["data"][0]["url"]).content
    house.http.delete(f"/v2/generations/{made['id']}/media")
    answer = house.http.get(path)
    receipt = answer.json()
    (file,) = receipt["files"]
    assert receipt["id"] == made["id"] and file["sha256"] == hashlib.sha256(content).hexdigest()
    assert (file["index"], file["mime_type"], file["size_bytes"]) == (0, "image/jpeg", len(content))
    times = [datetime.fromisoformat(file[name]) for name in ("created_at", "deletes_at", "deleted_at")]
    assert times[2] >= times[1] - timedelta(seconds=1) and times[2] >= times[0]
    assert set(file) == {"index", "mime_type", "size_bytes", "sha256", "created_at", "deletes_at", "deleted_at"}
    assert "canary" not in answer.text and "still" not in answer.text

    signed = verified(receipt["jws"], (house.server.data_dir / "provenance/root.pem").read_bytes())
    assert signed["id"] == receipt["id"]
    same = {"index", "mime_type", "size_bytes", "sha256"}
    assert [{name: each[name] for name in same} for each in signed["files"]] == [{name: file[name] for name in same}]
    moments = ("created_at", "deletes_at", "deleted_at")
    told = [datetime.fromisoformat(signed["files"][0][name]).replace(microsecond=0) for name in moments]
    assert told == [moment.replace(microsecond=0) for moment in times]


def verified(jws: str, root_pem: bytes) -> dict[str, Any]:
    """What a JWS (RFC 7515) states, checked up to the root by nothing of ours."""
    header, payload, signature = (base64.urlsafe_b64decode(part + "==") for part in jws.split("."))
    told = json.loads(header)
    assert told["alg"] == "ES256"
    leaf = x509.load_der_x509_certificate(base64.b64decode(told["x5c"][0]))
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(root_pem))
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key.verify(der, jws.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))
    stated: dict[str, Any] = json.loads(payload)
    return stated


def test_retention_as_asked(house: House) -> None:
    made = house.image(retention_seconds=3600)
    ((seconds, kept),) = house.sql(
        "select retention_seconds, extract(epoch from deletes_at - finished_at) from generations where id = %s",
        made["id"],
    )
    assert seconds == 3600 and 3599 <= kept <= 3600
    ((until,),) = house.sql("select extract(epoch from deletes_at)::bigint from generations where id = %s", made["id"])
    assert int(made["data"][0]["url"].partition("exp=")[2][:10]) == until
    for wrong in (59, 0, -1, 90 * 86400 + 1, 1.5, "60", 10**30):
        answer = house.http.post(
            "/v2/images/generations", json={"model": "still", "prompt": "a hill", "retention_seconds": wrong}
        )
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "retention_seconds", wrong
    house.sql("update workspaces set retention_max_seconds = 600 where name = 'default'")
    try:
        eventually(lambda: _status_of(house, 601) == 400, "the workspace's own maximum")
        assert _status_of(house, 600) == 200
        ((most,),) = house.sql("select retention_seconds from generations where id = %s", house.image()["id"])
        assert most == 600, "the default is cut to the maximum"
    finally:
        house.sql("update workspaces set retention_max_seconds = null where name = 'default'")
    eventually(lambda: _status_of(house, 601) == 200, "the maximum is lifted")


def _status_of(house: House, seconds: int) -> int:
    body = {"model": "still", "prompt": "a hill", "retention_seconds": seconds}
    return house.http.post("/v2/images/generations", json=body).status_code


def test_delivered_once(house: House) -> None:
    made = house.image(store=False, output_format="png")
    url, thumbnail = made["data"][0]["url"], made["data"][0]["thumbnail_url"]
    ((seconds,),) = house.sql("select retention_seconds from generations where id = %s", made["id"])
    assert seconds == 3600, "or after an hour"
    assert house.anonymous.head(url).status_code == 200
    part = house.get(url, range="bytes=0-9")
    assert part.status_code == 206
    assert house.get(url, if_none_match=part.headers["etag"]).status_code == 304
    assert house.get(url, range="bytes=999999-").status_code == 416
    assert house.get(thumbnail).status_code == 200
    assert not is_purged(house, made["id"])
    whole = house.get(url)
    assert whole.status_code == 200 and whole.content.startswith(part.content)
    eventually(lambda: is_purged(house, made["id"]), "the first complete download")
    assert house.get(url).status_code == 410 and house.get(thumbnail).status_code == 410
    assert house.http.get(f"/v2/generations/{made['id']}/receipt").status_code == 200
    assert not [key for key in house.files() if made["id"] in key]


def test_an_aborted_download_delivers_nothing(house: House) -> None:
    planted = house.plant(b"x" * (64 << 20), is_stored=False)
    path = planted.url.removeprefix(house.server.base_url)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", house.server.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b"200 OK" in connection.recv(2000)
            time.sleep(0.1)
    eventually(lambda: house.server.log.count(f"{planted.id}/0") >= 3, "three requests that ended")
    assert not is_purged(house, planted.id)
    assert len(house.get(planted.url).content) == 64 << 20
    eventually(lambda: is_purged(house, planted.id), "a complete one")


def test_early_deletion(house: House) -> None:
    made = house.image(prompt=CANARY)
    path, url = f"/v2/generations/{made['id']}/media", made["data"][0]["url"]
    house.get(made["data"][0]["thumbnail_url"])
    before = house.balance()
    first = house.http.delete(path)
    assert first.status_code == 200 and house.get(url).status_code == 410
    assert not [key for key in house.files() if made["id"] in key]
    again = house.http.delete(path)
    assert again.status_code == 200 and again.json()["files"] == first.json()["files"]
    assert house.http.get(f"/v2/generations/{made['id']}/receipt").json()["files"] == first.json()["files"]
    assert house.sql("select request from generations where id = %s", made["id"]) == [(None,)]
    assert house.balance() == before, "what was charged stays charged"
    shown = house.http.get(f"/v2/images/generations/{made['id']}").json()
    assert house.get(shown["data"][0]["url"]).status_code == 410


def test_another_workspace_sees_nothing(house: House) -> None:
    other = house.client(house.workspace("other"))
    made, unknown = house.image(), "req-01JZ0000000000000000000000"
    for method, what in (("DELETE", "media"), ("GET", "receipt")):
        answers = [other.request(method, f"/v2/generations/{id_}/{what}") for id_ in (made["id"], unknown, "nonsense")]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert house.get(made["data"][0]["url"]).status_code == 200


def test_orphans_both_ways(still_house: House) -> None:
    house = still_house
    kept, lost = house.plant(b"kept"), house.plant(b"lost")
    day = Path(kept.path).parent
    orphans = [day / "req-01JZ0000000000000000000000-0.deadbeef.png", day / f"{Path(kept.key).name}x.thumb.webp"]
    inputs = house.media / "inputs" / day.relative_to(house.media / "media") / "req-01JZ0000000000000000000000-0.png"
    inputs.parent.mkdir(parents=True)
    for path in (*orphans, inputs):
        path.write_bytes(b"nobody's")
    for path in (orphans[0], inputs):
        os.utime(path, (time.time() - 7200,) * 2)
    Path(lost.path).unlink()
    done = house.cli("sweep", "--json", "--days", "2", "--older-than", "60")
    found = json.loads(done.stdout)
    assert (done.returncode, found["removed"], found["missing"]) == (1, 2, [lost.key])
    assert not orphans[0].exists() and not inputs.exists()
    assert orphans[1].exists(), "it is young: a runner may still be at work"
    assert kept.key in house.files()
    house.sql("update media set tombstoned_at = now(), deleted_at = now() where generation_id = %s", lost.id)


def test_the_sweep_does_not_look_at_what_is_kept(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url) as connection:
        connection.execute("insert into workspaces (name) values ('many')")
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            """
            insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at)
            select 'req-' || lpad(n::text, 26, '0'), 0, 'media/' || n, 'image/png', 1, sha256('x'), 1, 1,
                case when n <= 500 then now() - interval '1 h' else now() + interval '7 days' end
            from generate_series(1, 60000) n
            """
        )
        connection.execute("analyze media")
        explain = "explain (analyze, format json) " + statement("tombstone_due").replace("%(limit)s", "1000")
        ((plan,),) = connection.execute(explain).fetchall()
        nodes = list(walk(plan[0]["Plan"]))
    assert "media_due" in {node.get("Index Name") for node in nodes}
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
    most = max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes)
    assert most <= 500, "no more rows were touched than are due"


def test_recording_what_is_gone_looks_only_at_that(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            """
            insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at,
                tombstoned_at)
            select 'req-' || lpad(n::text, 26, '0'), 0, 'media/' || n, 'image/png', 1, sha256('x'), 1, 1, now(),
                case when n <= 1000 then now() end
            from generate_series(1, 60000) n
            """
        )
        connection.execute("analyze media")
        params = {"ids": [f"req-{n:026}" for n in range(1, 1001)], "indexes": [0] * 1000}
        explain = "explain (analyze, format json) " + statement("purge")
        ((plan,),) = connection.execute(explain, params).fetchall()
    on_media = [node for node in walk(plan[0]["Plan"]) if node.get("Relation Name") == "media"]
    assert "Seq Scan" not in {node["Node Type"] for node in on_media}
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in on_media) == 1000


def walk(node: dict[str, Any]) -> Any:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


def test_an_erased_workspace_leaves_no_word(house: House) -> None:
    key = house.workspace("canary-ws-77")
    customer = house.client(key)
    headers = {"idempotency-key": "canary-idempotency-99"}
    body = {"model": "still", "prompt": CANARY}
    made = customer.post("/v2/images/generations", json=body, headers=headers).json()
    thumbnail = made["data"][0]["thumbnail_url"]
    assert house.get(thumbnail).status_code == 200
    failed = customer.post("/v2/images/generations", json={**body, "model": "no-image"})
    assert failed.status_code == 502
    video = customer.post("/v2/videos/generations", json={"model": "clip", "prompt": CANARY}).json()
    eventually(
        lambda: customer.get(f"/v2/videos/generations/{video['id']}").json()["status"] == "completed", "the video"
    )
    assert CANARY in dump(house) and "canary-ws-77" in dump(house)

    done = house.cli("workspaces", "erase", "canary-ws-77", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    told = dump(house)
    for word in (CANARY, "canary-ws-77", "canary-idempotency-99", key[-4:] + "'", key[:7]):
        assert word not in told, word
    for path in [*house.media.rglob("*"), *(house.server.data_dir / "work").rglob("*"), house.server.log_path]:
        if path.is_file():
            assert b"canary-4d1f0c" not in path.read_bytes(), path
    assert not [name for name in house.files() if made["id"] in name or video["id"] in name]
    assert customer.get("/v2/models").status_code == 401
    assert house.get(made["data"][0]["url"]).status_code == 410
    assert house.get(thumbnail).status_code == 410
    books = house.cli("books")
    assert books.returncode == 0, books.stdout


@pytest.mark.parametrize("point", ["erase-after-begin", "erase-after-batch"])
def test_an_erasure_that_is_killed_is_whole_for_everybody_and_goes_on(still_house: House, point: str) -> None:
    house = still_house
    name = f"canary-{point}"
    customer = house.client(house.workspace(name))
    body = {"model": "still", "prompt": CANARY}
    made = [
        customer.post("/v2/images/generations", json=body, headers={"idempotency-key": f"{name}-{n}"}) for n in "12"
    ]
    urls = [answer.json()["data"][0]["url"] for answer in made]
    assert [house.get(url).status_code for url in urls] == [200, 200]

    dead = house.cli("workspaces", "erase", name, "--yes", killpoint=point)
    assert dead.returncode == -9, dead.stderr
    # What a link or a key named a moment ago is remembered for a second.
    eventually(lambda: [house.get(url).status_code for url in urls] == [410, 410], "the links are dead")
    eventually(lambda: customer.get("/v2/models").status_code == 401, "the key is")
    listed = house.cli("workspaces", "list", "--json").stdout + house.cli("keys", "list", "--json").stdout
    assert name not in listed
    assert house.sql("select count(*) from workspaces where erased_up_to is not null") == [(1,)]

    done = house.cli("sweep", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert house.sql("select count(*) from workspaces where erased_up_to is not null") == [(0,)]
    ids = [answer.json()["id"] for answer in made]
    assert not [key for key in house.files() if any(id_ in key for id_ in ids)]
    assert name not in dump(house)
    kept = "select count(*) from generations where id = any(%s) and request is not null"
    assert house.sql(kept, ids) == [(0,)]


def dump(house: House) -> str:
    """Every row of every table, as text."""
    tables = house.sql(
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'"
    )
    return "\n".join(str(row) for (name,) in tables for row in house.sql(f"select t::text from {name} t"))


def test_prompts_of_failures_go_when_their_retention_is_over(still_house: House) -> None:
    house = still_house
    for _ in range(2):
        body = {"model": "no-image", "prompt": CANARY}
        assert house.http.post("/v2/images/generations", json=body).status_code == 502
    newer, older = [row[0] for row in house.sql("select id from generations where state = 'failed' order by id desc")]
    house.sql("update generations set finished_at = finished_at - interval '8 days' where id = %s", older)
    assert house.cli("sweep").returncode == 0
    rows = dict(house.sql("select id, request is null from generations where state = 'failed'"))
    assert rows == {newer: False, older: True}
