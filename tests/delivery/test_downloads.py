"""Signed downloads over HTTP: who gets a file, whole or in part, and with which headers."""

from __future__ import annotations

import email
import email.policy
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import pyvips

from safelight.providers.noop import mp4, png
from tests.delivery.house import VECTORS, House, Planted

SIZE_BYTES = 3_000_017
FOREVER = next(link for link in VECTORS["links"] if link["exp"] == 9999999999)


@pytest.fixture(scope="module")
def planted(house: House) -> Planted:
    """A file of random bytes: nothing reads it but the download."""
    return house.plant(os.urandom(SIZE_BYTES))


GUARDED = {
    "content-security-policy": "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "accept-ranges, allow, content-disposition, content-length, content-range, etag, "
    "retry-after, x-request-id, x-should-retry",
    "cross-origin-resource-policy": "cross-origin",
}
"""What every answer below /v2/downloads has, errors too."""


def path_of(link: dict) -> str:
    return link["url"].removeprefix(VECTORS["public_url"])


def test_frozen_links_work_over_the_real_route(house: House) -> None:
    """A link made by any release opens its file, or is too late for it: never is it refused."""
    kept = house.plant(b"kept for ever", generation_id=FOREVER["id"], index=FOREVER["index"], day="2026/11/22")
    assert house.get(path_of(FOREVER)).content == kept.content
    for link in VECTORS["links"]:
        if link is not FOREVER:
            answer = house.get(path_of(link))
            assert (answer.status_code, answer.json()["error"]["code"]) == (410, "download_expired"), link["url"]
        broken = path_of(link)[:-1] + ("0" if link["sig"][-1] != "0" else "1")
        assert house.get(broken).status_code == 403


def test_a_wrong_signature_tells_nothing(house: House, planted: Planted) -> None:
    """Existing, deleted, unknown, malformed: the same answer, byte for byte."""
    gone = house.plant(b"gone", seconds=-5)
    sig, query = "0" * 64, f"exp={int(time.time()) + 1000}&sig={'0' * 64}"
    unknown = "req-01JZ0000000000000000000000"
    paths = [f"{id_}/{index}" for id_ in (planted.id, gone.id, unknown) for index in ("0", "1", "0/thumbnail")]
    paths += [planted.id, f"{planted.id}/x", f"{planted.id}/-1", f"{planted.id}/00", f"{planted.id}/0/poster", ""]
    paths += [f"{planted.id}/{'9' * 5000}", f"{planted.id}/٣", f"{planted.id}/0/thumbnail/x", "%00/0"]
    answers = [house.get(f"/v2/downloads/{path}?{query}") for path in paths]
    answers.append(house.get(f"/v2/downloads/{planted.id}/0?exp=1000000000&sig={sig}"))  # past, but not ours
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1
    told = [{k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")} for answer in answers]
    assert all(each == told[0] for each in told)


@pytest.mark.parametrize("index", ["00", "+0", "0.0", "0e0", "%30%30", "٠"])
def test_a_file_has_one_spelling_however_well_it_is_signed(house: House, planted: Planted, index: str) -> None:
    path, _, query = house.link(planted.id, 0, int(time.time()) + 1000).partition("?")
    path = path.removeprefix(house.server.base_url)
    assert path.endswith("/0") and house.get(f"{path}?{query}").status_code == 200
    assert house.get(f"{path[:-1]}{index}?{query}").status_code == 403


def test_only_the_exact_query_is_good(house: House, planted: Planted) -> None:
    path, _, query = planted.url.partition("?")
    exp, sig = query.split("&")
    assert house.get(f"{path}?{sig}&{exp}").status_code == 200  # the order is not part of the promise
    wrong = [
        "",
        exp,
        sig,
        f"{query}&{exp}",
        f"{query}&{sig}",
        f"{query}&utm_source=mail&{exp}",
        f"{query}&%65xp={exp[4:]}",
        f"{query}&exp=",
        f"{query}?utm_source=mail",
        f"{exp}&{exp}&{sig}",
        f"{exp};{sig}",
        query.upper(),
        f"{exp}&{sig.upper().replace('SIG', 'sig')}",
        f"exp=0{exp[4:]}&{sig}",
        f"exp=+{exp[4:]}&{sig}",
        f"exp={int(exp[4:]) + 1}&{sig}",
        f"{exp}&{sig}0",
        f"{exp}&{sig[:-1]}",
        f"{exp}&sig=%{ord(sig[4]):02x}{sig[5:]}",
        f"%65xp={exp[4:]}&{sig}",
    ]
    for each in wrong:
        assert house.get(f"{path}?{each}").status_code == 403, each
    other = house.plant(b"another")
    assert house.get(f"/v2/downloads/{other.id}/0?{query}").status_code == 403
    assert house.get(f"/v2/downloads/{planted.id}/1?{query}").status_code == 403
    assert house.get(f"/v2/downloads/{planted.id}/0/thumbnail?{query}").status_code == 403


def test_what_others_add_to_a_link_changes_nothing(house: House, planted: Planted) -> None:
    path, _, query = planted.url.partition("?")
    added = (
        "fbclid=IwAR0x",
        "utm_source=a%20b&utm_medium=mail&gclid=1",
        "_=1788000000",
        "1788000000",
        "exp[]=1",
        "%ff&&",
    )
    for more in added:
        for each in (f"{query}&{more}", f"{more}&{query}", query.replace("&", f"&{more}&")):
            assert house.get(f"{path}?{each}").content == planted.content, each
            broken = each.replace("sig=", "sig=0").replace(planted.url[-64:], planted.url[-64:-1])
            assert house.get(f"{path}?{broken}").status_code == 403, broken
    late = house.link(planted.id, 0, int(time.time()) - 1)
    assert house.get(f"{late}&fbclid=x").status_code == 410


def test_past_and_deleted_are_gone(house: House) -> None:
    late = house.plant(b"late")
    ended = house.link(late.id, 0, int(time.time()) - 1)
    unknown = house.link("req-01JZ0000000000000000000000", 0, int(time.time()) + 1000)
    deleted = house.plant(b"deleted", seconds=-5)
    lost = house.plant(b"lost by the store")
    Path(lost.path).unlink()
    for url in (ended, unknown, deleted.url, deleted.thumbnail_url, lost.url):
        answer = house.get(url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "download_expired"), url
    assert house.get(late.url).content == b"late"


def test_many_at_once_each_get_their_own(house: House) -> None:
    """Rows that are asked for together are found by one statement: for each link its own, for a deleted file none."""
    kept = [house.plant(b"the content of %d" % number, index=number % 3) for number in range(12)]
    gone = [house.plant(b"deleted", index=number % 3, seconds=-5) for number in range(4)]
    never = [house.link(file.id, 7, int(time.time()) + 1000) for file in kept[:4]]
    urls = [
        url for file, other, link in zip(kept, gone * 3, never * 3, strict=True) for url in (file.url, other.url, link)
    ]
    with ThreadPoolExecutor(len(urls)) as threads:
        answers = list(threads.map(house.get, urls))
    assert [answer.content for answer in answers[::3]] == [file.content for file in kept]
    assert {answer.status_code for answer in (*answers[1::3], *answers[2::3])} == {410}


def test_get_and_head_agree(house: House, planted: Planted) -> None:
    got, headed = house.get(planted.url), house.anonymous.head(planted.url)
    assert got.status_code == headed.status_code == 200
    assert got.content == planted.content and headed.content == b""
    assert headers_of(got) == headers_of(headed)
    for method in ("POST", "PUT", "DELETE", "BREW"):
        answer = house.anonymous.request(method, planted.url)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS"), method


def test_an_errors_head_is_that_of_its_answer(house: House, planted: Planted) -> None:
    for url in (planted.url[:-1], house.link(planted.id, 0, int(time.time()) - 1), "/v2/downloads"):
        got, headed = house.get(url), house.anonymous.head(url)
        assert (headed.status_code, headed.content) == (got.status_code, b"") and got.content
        assert headers_of(got) == headers_of(headed)


PREFLIGHT = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    "access-control-allow-headers": "*, authorization",
    "access-control-max-age": "86400",
    "allow": "GET, HEAD, OPTIONS",
}


def test_a_preflight_is_answered_whatever_the_link(house: House, planted: Planted) -> None:
    asked = {
        "origin": "https://app.example.com",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,range",
    }
    untidy = f"{house.server.base_url}//v2/downloads/x/"
    for url in (planted.url, planted.thumbnail_url, planted.url[:-1], "/v2/downloads/nothing", untidy):
        answer = house.anonymous.options(url, headers=asked)
        assert (answer.status_code, answer.content) == (204, b""), url
        assert {name: answer.headers.get(name) for name in PREFLIGHT} == PREFLIGHT
        assert "access-control-allow-credentials" not in answer.headers


def test_every_error_may_be_read_and_gives_no_authority(house: House, planted: Planted) -> None:
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answers = {
        403: house.get(planted.url[:-1]),
        405: house.anonymous.delete(planted.url),
        410: house.get(house.link(planted.id, 0, int(time.time()) - 1)),
        412: house.get(planted.url, if_match='"stale"'),
        416: house.get(planted.url, range="bytes=99999999-"),
        304: house.get(planted.url, if_none_match=planted.etag),
        400: house.anonymous.get(planted.url, headers=twice),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert {name: answer.headers.get(name) for name in GUARDED} == GUARDED, status
        assert "access-control-allow-credentials" not in answer.headers


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """All but what differs from one answer to the next."""
    varying = ("date", "x-request-id", "cache-control", "connection", "transfer-encoding")
    return {name: value for name, value in answer.headers.items() if name not in varying}


@pytest.mark.parametrize(
    ("mime_type", "extension"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp"), ("video/mp4", "mp4")],
)
def test_every_header(house: House, mime_type: str, extension: str) -> None:
    planted = house.plant(b"some bytes", mime_type=mime_type)
    answer = house.get(planted.url, origin="https://app.example.com", cookie="a=b")
    age = int(re.fullmatch(r"private, max-age=(\d+)", answer.headers["cache-control"])[1])
    assert 3500 < age <= 3600
    expected = {
        "content-type": mime_type,
        "content-length": "10",
        "etag": planted.etag,
        "accept-ranges": "bytes",
        "content-disposition": f'inline; filename="{planted.id}-0.{extension}"',
        **GUARDED,
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert not {"access-control-allow-credentials", "set-cookie", "location"} & set(answer.headers)


def test_conditions(house: House, planted: Planted) -> None:
    for field in (planted.etag, f'"other", W/{planted.etag}', "*"):
        answer = house.get(planted.url, if_none_match=field)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", planted.etag)
        assert "content-type" not in answer.headers
    assert house.get(planted.url, if_none_match='"other"').status_code == 200
    assert house.get(planted.url, if_match='"other"').status_code == 412
    assert house.get(planted.url, if_match=planted.etag).status_code == 200
    assert house.get(planted.url, if_range=planted.etag, range="bytes=0-0").status_code == 206
    for stale in ('"other"', f"W/{planted.etag}", "Sun, 22 Nov 2026 10:00:00 GMT"):
        answer = house.get(planted.url, if_range=stale, range="bytes=0-0")
        assert (answer.status_code, answer.content) == (200, planted.content)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        (f"bytes={SIZE_BYTES - 1}-", SIZE_BYTES - 1, SIZE_BYTES),
        ("bytes=1000000-", 1_000_000, SIZE_BYTES),
        ("bytes=-7", SIZE_BYTES - 7, SIZE_BYTES),
        (f"bytes=-{SIZE_BYTES * 2}", 0, SIZE_BYTES),
        ("bytes=262143-524289", 262_143, 524_290),
        (f"bytes=2999999-{10**30}", 2_999_999, SIZE_BYTES),
        ("bytes=0-9,5-20", 0, 21),
    ],
)
def test_one_range(house: House, planted: Planted, asked: str, start: int, end: int) -> None:
    answer = house.get(planted.url, range=asked)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE_BYTES}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["content-type"] == "image/png" and answer.headers["etag"] == planted.etag
    assert answer.content == planted.content[start:end]


def test_ranges_that_cannot_be(house: House, planted: Planted) -> None:
    for asked in (f"bytes={SIZE_BYTES}-", "bytes=-0", f"bytes={10**40}-"):
        answer = house.get(planted.url, range=asked)
        assert (answer.status_code, answer.content) == (416, b""), asked
        assert answer.headers["content-range"] == f"bytes */{SIZE_BYTES}"
    nine = "bytes=" + ",".join(f"{place * 100}-{place * 100 + 9}" for place in range(9))
    for asked in ("lines=0-5", "bytes=9-5", "bytes=a-b", "bytes", nine):
        answer = house.get(planted.url, range=asked)
        assert (answer.status_code, len(answer.content)) == (200, SIZE_BYTES), asked


def test_several_ranges(house: House, planted: Planted) -> None:
    answer = house.get(planted.url, range="bytes=10-19, 500000-1500000, -5")
    assert answer.status_code == 206 and int(answer.headers["content-length"]) == len(answer.content)
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    ranges = [(10, 20), (500_000, 1_500_001), (SIZE_BYTES - 5, SIZE_BYTES)]
    parts = list(message.iter_parts())
    assert [part["content-range"] for part in parts] == [f"bytes {a}-{b - 1}/{SIZE_BYTES}" for a, b in ranges]
    assert {part.get_content_type() for part in parts} == {"image/png"}
    boundary = message.get_boundary().encode()
    bodies = [piece.split(b"\r\n\r\n", 1)[1] for piece in answer.content.split(b"--" + boundary)[1:-1]]
    assert [body.removesuffix(b"\r\n") for body in bodies] == [planted.content[a:b] for a, b in ranges]


def test_curl_resumes_a_cut_download(house: House, planted: Planted, tmp_path: Path) -> None:
    target = tmp_path / "file.png"
    cut = ["curl", "-s", "-o", target, "--max-filesize", "10000000", "--range", "0-1234567", planted.url]
    subprocess.run(cut, check=True, timeout=60)
    assert target.stat().st_size == 1_234_568
    done = subprocess.run(
        ["curl", "-s", "-C", "-", "-o", target, "-w", "%{http_code}", planted.url],
        check=True,
        timeout=60,
        capture_output=True,
    )
    assert done.stdout == b"206" and target.read_bytes() == planted.content


def test_a_client_that_leaves_is_no_error(house: House) -> None:
    big = house.plant(os.urandom(1 << 20) * 48)
    path = big.url.removeprefix(house.server.base_url)
    before = house.server.log.count("Traceback")
    for more in ("", "Range: bytes=1-\r\n"):
        with socket.create_connection(("127.0.0.1", house.server.port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 20")
    assert house.get(big.url, range="bytes=0-9").content == big.content[:10]
    assert house.server.log.count("Traceback") == before


def test_signatures_are_not_in_the_log(house: House, planted: Planted) -> None:
    assert house.get(planted.url).status_code == 200
    assert house.get(planted.url.replace("sig=", "sig=f")).status_code == 403
    assert planted.id in house.server.log
    assert planted.url[-64:] not in house.server.log and "sig=" not in house.server.log


@pytest.mark.parametrize("mime_type", ["image/png", "video/mp4"])
def test_thumbnails(house: House, mime_type: str) -> None:
    content = large_png() if mime_type == "image/png" else mp4(1)
    planted = house.plant(content, mime_type=mime_type)
    answer = house.get(planted.thumbnail_url)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    picture = pyvips.Image.new_from_buffer(answer.content, "")
    assert picture.get("vips-loader").startswith("webpload")
    assert (picture.width, picture.height) == ((512, 384) if mime_type == "image/png" else (64, 64))
    assert answer.headers["content-disposition"] == f'inline; filename="{planted.id}-0-thumbnail.webp"'
    kept = f"{planted.key}.thumb.webp"
    assert kept in house.files()
    changed_at = (house.media / kept).stat().st_mtime_ns
    again = house.get(planted.thumbnail_url)
    assert again.content == answer.content and again.headers["etag"] == answer.headers["etag"] != planted.etag
    assert (house.media / kept).stat().st_mtime_ns == changed_at
    assert house.get(planted.thumbnail_url, if_none_match=again.headers["etag"]).status_code == 304
    assert house.get(planted.thumbnail_url, range="bytes=0-3").content == b"RIFF"

    assert house.http.delete(f"/v2/generations/{planted.id}/media").status_code == 200
    assert not {planted.key, kept} & house.files()
    assert house.get(planted.thumbnail_url).status_code == 410


def large_png() -> bytes:
    content: bytes = pyvips.Image.black(1024, 768).linear(1, 99, uchar=True).write_to_buffer(".png")
    return content


def test_what_is_made_is_what_is_downloaded(house: House) -> None:
    made = house.image(output_format="png")
    file = made["data"][0]
    answer = house.get(file["url"])
    assert answer.headers["content-type"] == file["mime_type"] == "image/png"
    picture = pyvips.Image.new_from_buffer(answer.content, "")
    assert (picture.width, picture.height) == (file["width"], file["height"]) == (64, 64)
    assert answer.content[:8] == png()[:8]
    assert house.get(file["thumbnail_url"]).headers["content-type"] == "image/webp"
