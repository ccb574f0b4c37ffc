"""The whole of delivery with the media in a bucket of a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.blobs import seaweed
from tests.delivery.house import House
from tests.support.server import eventually


@pytest.fixture(scope="module")
def bucket_house(build: Callable[..., House], s3_server: seaweed.Server) -> House:
    return build({"SAFELIGHT_MEDIA_URL": s3_server.url("media", "kept/here")})


def test_made_downloaded_and_deleted(bucket_house: House) -> None:
    house = bucket_house
    image = house.image("drawn", output_format="png")
    video = house.video("clip")
    assert video["status"] == "completed", video
    for made, magic in ((image, b"\x89PNG"), (video, b"ftyp")):
        file = made["data"][0]
        whole = house.get(file["url"])
        assert whole.status_code == 200 and magic in whole.content[:12]
        assert whole.headers["content-type"] == file["mime_type"]
        assert int(whole.headers["content-length"]) == len(whole.content)
        etag, size = whole.headers["etag"], len(whole.content)
        assert house.anonymous.head(file["url"]).headers["etag"] == etag
        assert house.get(file["url"], if_none_match=etag).status_code == 304
        part = house.get(file["url"], range=f"bytes=100-{size - 100}")
        assert part.status_code == 206 and part.content == whole.content[100 : size - 99]
        several = house.get(file["url"], range="bytes=0-9, 50-59")
        assert whole.content[:10] in several.content and whole.content[50:60] in several.content
        assert house.get(file["url"], range=f"bytes={size}-").status_code == 416
        small = house.get(file["thumbnail_url"])
        assert small.status_code == 200 and small.content[8:12] == b"WEBP"
        assert house.get(file["thumbnail_url"]).content == small.content
        receipt = house.http.delete(f"/v2/generations/{made['id']}/media")
        assert receipt.status_code == 200 and receipt.json()["files"][0]["size_bytes"] == size
        assert house.get(file["url"]).status_code == house.get(file["thumbnail_url"]).status_code == 410
    swept = house.cli("sweep", "--json", "--older-than", "0")
    assert json.loads(swept.stdout) == {"deleted": 0, "removed": 0, "missing": []}


def test_due_files_go_from_the_bucket(bucket_house: House) -> None:
    house = bucket_house
    made, once = house.image(), house.image(store=False)
    url = made["data"][0]["url"]
    assert house.get(url).status_code == 200
    for table, column in (("media", "generation_id"), ("generations", "id")):
        house.sql(f"update {table} set deletes_at = now() - interval '1 s' where {column} = %s", made["id"])
    assert house.get(url).status_code == 410
    assert house.get(once["data"][0]["url"]).status_code == 200
    ids = [made["id"], once["id"]]
    eventually(
        lambda: (
            house.sql("select count(*) from media where generation_id = any(%s) and deleted_at is null", ids) == [(0,)]
        ),
        "both are deleted: one was due, one was delivered",
    )


def test_a_redirect_to_the_bucket(bucket_house: House) -> None:
    house = bucket_house
    settings = {"SAFELIGHT_MEDIA_URL": house.env["SAFELIGHT_MEDIA_URL"], "SAFELIGHT_DOWNLOAD_REDIRECT": "on"}
    made, once = house.image(), house.image(store=False)
    content = house.get(made["data"][0]["url"]).content
    with house.beside(settings) as redirecting:
        answer = redirecting.get(path_of(made["data"][0]["url"]))
        assert answer.status_code == 307 and answer.headers["cache-control"] == "no-store"
        assert urlsplit(answer.headers["location"]).netloc in house.env["SAFELIGHT_MEDIA_URL"]
        followed = httpx.get(answer.headers["location"])
        assert followed.content == content and followed.headers["content-type"] == "image/jpeg"
        headed = redirecting.anonymous.head(path_of(made["data"][0]["url"]), follow_redirects=True)
        assert (headed.status_code, headed.url.netloc, headed.content) == (200, followed.url.netloc, b"")
        assert headed.headers["content-length"] == str(len(content))
        assert redirecting.get(path_of(once["data"][0]["url"])).status_code == 200
        etag = house.get(made["data"][0]["url"]).headers["etag"]
        for name in ("if_match", "if_range"):
            mine = redirecting.get(path_of(made["data"][0]["url"]), **{name: etag})
            assert (mine.status_code, mine.content) == (200, content), "the bucket knows another ETag"


def path_of(url: str) -> str:
    return "/v2/" + url.partition("/v2/")[2]


def test_doctor_tries_the_bucket(bucket_house: House) -> None:
    done = bucket_house.cli("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["media store"]["ok"], checks
    assert "secret_access_key" not in done.stdout and "access_key_id" not in done.stdout


def test_nothing_is_charged_while_the_bucket_is_away(bucket_house: House, tmp_path: Path) -> None:
    house = bucket_house
    made, before = house.image(), house.balance()
    env = {"SAFELIGHT_LEASE": "2s", "SAFELIGHT_IMAGE_DEADLINE": "3s"}
    with (
        seaweed.serve_on_and_off(tmp_path) as service,
        house.beside({**env, "SAFELIGHT_MEDIA_URL": service.server.url("media")}) as other,
    ):
        service.stop()
        for url in (made["data"][0]["url"], made["data"][0]["thumbnail_url"]):
            answer = other.get(path_of(url))
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
            assert answer.headers["x-should-retry"] == "true"
        assert other.get("/readyz").status_code == 503
        failed = other.http.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"})
        assert (failed.status_code, failed.json()["error"]["code"]) == (504, "generation_unknown"), failed.text
        assert "127.0.0.1" not in failed.text and "secret" not in failed.text.lower()
        assert other.get("/healthz").status_code == 200
        # As time would: past its deadline and the minute after that, with the bucket still away.
        house.sql("update generations set deadline = now() - interval '2 min' where finished_at is null")
    eventually(lambda: house.balance() == before, "the price is released")
    assert before[1] == 0
    assert house.get(made["data"][0]["url"]).status_code == 200
