"""nginx checks links itself: it answers as the API does, to the byte, and sends nothing that the API refuses."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.blobs.link_notes import LinkNotes
from safelight.domain.ports import LinkNote
from tests.delivery.house import KEYS, House, Planted
from tests.support.nginx import HAS_NJS, NGINX, Answer, Front, answer, front, write_config
from tests.support.server import eventually, free_port

pytestmark = pytest.mark.skipif(NGINX is None or not HAS_NJS, reason="nginx or its njs module is not installed")

_OWN = {"date", "server", "connection", "x-request-id", "transfer-encoding"}


@pytest.fixture(scope="module")
def house(build: Callable[..., House]) -> House:
    return build()


@pytest.fixture(scope="module")
def outer(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """nginx in front of the house; from now on new files are noted."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    configured(house, folder, port)
    with front(folder, port) as running:
        yield running


def configured(house: House, folder: Path, port: int) -> None:
    write_config(house.env, house.server.data_dir, folder, port)


def noted(house: House, planted: Planted, *, seconds: int = 3600, **other: Any) -> Planted:
    """A planted file with the note that a run would have written."""
    ((workspace_id,),) = house.sql("select workspace_id from generations where id = %s", planted.id)
    facts: dict[str, Any] = {
        "generation_id": planted.id,
        "index": planted.index,
        "workspace_id": workspace_id,
        "key": planted.key,
        "size_bytes": len(planted.content),
        "sha256": hashlib.sha256(planted.content).hexdigest(),
        "deletes_at_unix": int(re.findall(r"exp=(\d+)", planted.url)[0]),
    }
    LinkNotes(house.media).write([LinkNote(**{**facts, **other})])
    return planted


def is_nginxs(given: Answer) -> bool:
    """Whether nginx sent the file itself: ours are request ids without hyphens."""
    return "-" in given[1].get("x-request-id", "")


def plain(given: Answer) -> Answer:
    """Without what differs between any two answers."""
    status, headers, body = given
    boundary = re.search(r"boundary=(\w+)", headers.get("content-type", ""))
    if boundary:
        body = body.replace(boundary[1].encode(), b"B")
        headers = {**headers, "content-type": headers["content-type"].replace(boundary[1], "B")}
    return status, {name: value for name, value in headers.items() if name not in _OWN}, body


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def compare(house: House, outer: Front, target: str, headers: list[tuple[str, str]], method: str = "GET") -> Answer:
    """Both answers, which must be the same; that of nginx. A second may have gone by in between: once more then."""
    for _ in range(3):
        theirs, ours = (answer(port, target, headers, method) for port in (outer.port, house.server.port))
        if plain(theirs) == plain(ours):
            return theirs
    assert plain(theirs) == plain(ours), (target, headers, method)
    raise AssertionError


_RANGES = {  # and whether nginx sends that itself
    "bytes=0-3": True,
    "bytes=5-": True,
    "bytes=-7": True,
    "bytes=-99999999": True,
    "bytes=0-99999999": True,
    "bytes=0-": True,
    "bytes=999-999": True,
    "bytes=00001-00002": True,
    "Bytes=0-3": False,
    "bytes=0-3, 5-6": False,
    "bytes=0-0,-1": False,
    "bytes=1000-": False,
    "bytes=5-2": False,
    "bytes=-0": False,
    "bytes=-": False,
    "bytes=a-b": False,
    "bytes=0-3,": False,
    "bytes= 0-3": False,
    "items=0-3": False,
    "bytes=99999999999999999999-": False,
    "": False,
}


def test_nginx_answers_as_the_api_does(house: House, outer: Front) -> None:
    file = noted(house, house.plant(secrets.token_bytes(1000), mime_type="video/mp4"))
    target, etag = path_of(file.url), file.etag
    matrix: list[tuple[list[tuple[str, str]], bool, bool]] = [  # headers; whether GET and HEAD are nginx's own
        ([], True, True),
        (
            [("Accept-Encoding", "gzip"), ("Authorization", "Bearer sk_x"), ("Cookie", "a=b"), ("Origin", "null")],
            True,
            True,
        ),
        ([("If-Modified-Since", "Tue, 01 Jan 2030 00:00:00 GMT")], True, True),
        ([("If-Unmodified-Since", "Tue, 01 Jan 2002 00:00:00 GMT")], False, False),
        *([([("Range", text)], own, False) for text, own in _RANGES.items()]),
        ([("Range", "bytes=0-3"), ("Range", "bytes=5-6")], False, False),
        ([("Range", "bytes=0-3"), ("If-Range", etag)], True, False),
        ([("Range", "bytes=0-3"), ("If-Range", f"W/{etag}")], False, False),
        ([("Range", "bytes=0-3"), ("If-Range", '"other"')], False, False),
        ([("Range", "bytes=0-3"), ("If-Range", "Tue, 01 Jan 2030 00:00:00 GMT")], False, False),
        ([("Range", "bytes=0-3"), ("If-Range", "")], False, False),
        ([("If-Range", etag)], False, False),
        *(
            ([(name, value)], False, False)
            for name in ("If-Match", "If-None-Match")
            for value in (etag, f"W/{etag}", '"other"', "*", "", f'"a", {etag}')
        ),
        ([("If-None-Match", '"other"'), ("Range", "bytes=0-3")], False, False),
    ]
    for headers, own_get, own_head in matrix:
        for method, own in (("GET", own_get), ("HEAD", own_head)):
            given = compare(house, outer, target, headers, method)
            assert is_nginxs(given) == own, (method, headers)
    twice = answer(outer.port, target, [("Range", "bytes=0-3"), ("If-Range", etag), ("If-Range", etag)])
    assert twice[0] == 400, "what means one thing and comes twice, nginx refuses in its own words"
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        given = compare(house, outer, target, [("Content-Length", "0")], method)
        assert given[0] == (204 if method == "OPTIONS" else 405) and not is_nginxs(given)


def test_a_whole_file_comes_whole_in_every_type(house: House, outer: Front) -> None:
    for mime_type in ("image/png", "image/jpeg", "image/webp", "video/mp4"):
        file = noted(house, house.plant(secrets.token_bytes(300_001), mime_type=mime_type))  # type: ignore[arg-type]
        status, headers, body = given = compare(house, outer, path_of(file.url), [])
        assert (status, headers["content-type"], body) == (200, mime_type, file.content) and is_nginxs(given)


def test_what_is_made_is_sent_by_nginx_from_the_first_download_on(house: House, outer: Front) -> None:
    made = [house.image(output_format=output_format) for output_format in ("png", "jpeg", "webp")]
    for generation in [*made, house.video()]:
        given = compare(house, outer, path_of(generation["data"][0]["url"]), [])
        assert given[0] == 200 and is_nginxs(given)
    once = house.image(store=False)["data"][0]
    given = answer(outer.port, path_of(once["url"]))
    assert given[0] == 200 and not is_nginxs(given), "only the API notices a complete delivery"
    assert answer(outer.port, path_of(once["url"]))[0] == 410


def test_what_is_not_plain_is_left_to_the_api(house: House, outer: Front) -> None:
    """Each as the API answers it itself."""
    without_note = house.plant(b"made before there was nginx")
    assert not is_nginxs(compare(house, outer, path_of(without_note.url), []))
    spoiled = noted(house, house.plant(b"a power cut spoiled its note"))
    note = house.media / ".links" / spoiled.id[4:10] / f"{spoiled.id}-0"
    text = note.read_text()
    for broken in ("", "\0" * len(text), text[:-1], text[:50], "x" * 600, text.replace("/media/", "/media/../media/")):
        note.write_text(broken)
        assert not is_nginxs(compare(house, outer, path_of(spoiled.url), [])), broken
    short = noted(house, house.plant(b"0123456789"))
    Path(short.path).write_bytes(b"01234")
    given = compare(house, outer, path_of(short.url), [])
    assert given[0] == 503, "no short file looks whole"
    missing = noted(house, house.plant(b"a file that is gone"))
    Path(missing.path).unlink()
    assert compare(house, outer, path_of(missing.url), [])[0] == 410
    linked = noted(house, house.plant(b"0123456789"))
    elsewhere = Path(linked.path).with_suffix(".else")
    Path(linked.path).rename(elsewhere)
    Path(linked.path).symlink_to(elsewhere)
    assert not is_nginxs(compare(house, outer, path_of(linked.url), [])), "it follows no link"
    late = house.link(short.id, 0, 1_700_000_000)
    assert compare(house, outer, path_of(late), [])[0] == 410
    assert compare(house, outer, path_of(house.plant(b"x", seconds=-5).url), [])[0] == 410
    picture = house.image()["data"][0]
    assert compare(house, outer, path_of(picture["thumbnail_url"]), [])[0] == 200
    for path in ("/v2/downloads", "/v2/downloads/", "/v2/downloads/a", "/v2/downloads/a/0/b/c", "/v2/nothing"):
        compare(house, outer, path, [])


def test_a_link_that_the_api_refuses_is_never_sent(house: House, outer: Front) -> None:
    file = noted(house, house.plant(b"0123456789"))
    path, _, query = path_of(file.url).partition("?")
    exp, sig = query.split("&")
    for tail in (
        f"{exp}&{sig}&fbclid=1",
        f"utm_source=a%20b&{sig}&{exp}",
        f"{exp}&{sig}&{sig}",
        f"{exp}&{exp}&{sig}",
        f"{exp}&{sig}&%65xp=1",
        f"{exp}&%73ig={sig[4:]}",
        f"{exp}&sig={sig[4:].upper()}",
        f"{exp}&{sig}#fragment",
        f"{exp}&{sig}&",
        f"&{exp}&{sig}",
        f"{exp}&{sig}&exp",
        f"{exp}&{sig}&sig=",
        f"{exp};{sig}",
        f"{sig}",
        "",
    ):
        compare(house, outer, f"{path}?{tail}", [])
    for other in (
        path.replace("/0", "/00"),
        path.replace("/0", "/1"),
        f"{path}/",
        path.replace("/v2/", "//v2/"),
        path.replace("/v2/", "/v2/./"),
        path.replace("/v2/", "/v2/../v2/"),
        path.replace("/v2/downloads", "/v2/%64ownloads"),
        path.replace("req-", "req%2d"),
        path.lower(),
    ):
        given = compare(house, outer, f"{other}?{query}", [])
        assert not is_nginxs(given), other
    over = compare(house, outer, path_of(house.link(file.id, 0, int(time.time()) - 1)), [])
    assert over[0] == 410, "a link may end before its file does"


_BITS = st.sampled_from(
    [
        "&",
        "=",
        "exp",
        "sig",
        "%",
        "%00",
        "%2e",
        "..",
        "/",
        "?",
        "#",
        "0",
        "00",
        "+",
        ";",
        "A",
        "a",
        "é",
        "thumbnail",
        "\x7f",
        "\x00",
        "x" * 3000,
    ]
)


def test_no_mangled_link_gets_more_than_from_the_api(house: House, outer: Front) -> None:
    file = noted(house, house.plant(b"0123456789"))
    good = path_of(file.url)
    start = good.index(file.id)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(st.tuples(st.integers(start, len(good)), st.integers(0, 3), _BITS), min_size=1, max_size=3))
    def never_more(edits: list[tuple[int, int, str]]) -> None:
        target = good
        for at, cut, text in edits:
            target = target[:at] + text + target[at + cut :]
        given = answer(outer.port, target)
        if is_nginxs(given):
            ours = answer(house.server.port, target)
            assert (given[0], given[2]) == (ours[0], ours[2]) == (200, file.content), target

    never_more()


def test_a_deleted_file_is_gone_at_once(house: House, outer: Front) -> None:
    made = house.image()
    target = path_of(made["data"][0]["url"])
    assert is_nginxs(answer(outer.port, target))
    assert house.http.delete(f"/v2/generations/{made['id']}/media").status_code == 200
    assert answer(outer.port, target)[0] == 410
    assert not list(house.media.rglob(f"{made['id']}*")), "nor is its note left"


def test_killed_between_mark_and_deletion_nothing_is_sent(house: House, outer: Front) -> None:
    made = house.image()
    target = path_of(made["data"][0]["url"])
    with house.beside({"SAFELIGHT_KILLPOINT": "expire-after-tombstone"}) as doomed, pytest.raises(httpx.TransportError):
        doomed.http.delete(f"/v2/generations/{made['id']}/media")
    assert list((house.media / "media").rglob(f"{made['id']}*")), "the file is still there"
    eventually(lambda: answer(outer.port, target)[0] == 410, "what the API remembers of it for a second")


def test_an_erased_workspace_is_gone_before_its_files_are(house: House, outer: Front) -> None:
    house.workspace("leaving")
    file = noted(house, house.plant(b"0123456789", workspace="leaving"))
    assert is_nginxs(answer(outer.port, path_of(file.url)))
    done = house.cli("workspaces", "erase", "leaving", "--yes", killpoint="erase-after-begin")
    assert done.returncode != 0
    given = answer(outer.port, path_of(file.url))
    assert not is_nginxs(given)
    late = noted(
        house, house.plant(b"abc", workspace=house.sql("select name from workspaces where erased_at is not null")[0][0])
    )
    assert not is_nginxs(answer(outer.port, path_of(late.url))), "a note that comes late opens nothing again"


def test_notes_of_files_that_are_gone_are_swept(house: House, outer: Front) -> None:
    kept, gone = (noted(house, house.plant(secrets.token_bytes(9))) for _ in range(2))
    Path(gone.path).unlink()
    house.sql("update media set tombstoned_at = now(), deleted_at = now() where generation_id = %s", gone.id)
    notes = {name: house.media / ".links" / name[4:10] / f"{name}-0" for name in (kept.id, gone.id)}
    for path in notes.values():
        os.utime(path, (1, 1))
    house.cli("sweep")
    assert notes[kept.id].exists() and not notes[gone.id].exists()


def test_secrets_are_in_one_file_alone_and_follow_a_change_of_keys(house: House, tmp_path: Path) -> None:
    file = noted(house, house.plant(b"0123456789"))
    port = free_port()
    configured(house, tmp_path, port)
    keys = [key.split(":") for key in KEYS.split(",")]
    assert (tmp_path / "links.json").stat().st_mode & 0o777 == 0o600
    for secret in (key[1] for key in keys):
        assert secret in (tmp_path / "links.json").read_text()
        assert secret not in (tmp_path / "nginx.conf").read_text() + (tmp_path / "links.js").read_text()
    with front(tmp_path, port) as running:
        shown = subprocess.run(
            [str(NGINX), "-T", "-c", tmp_path / "nginx.conf", "-e", tmp_path / "t.log"],
            capture_output=True,
            check=True,
            text=True,
        )
        assert "js_preload_object" in shown.stdout and not any(key[1] in shown.stdout + shown.stderr for key in keys)
        old = house.link(file.id, 0, int(time.time()) + 600, keys=":".join(keys[-1]))
        assert is_nginxs(answer(port, path_of(file.url))) and is_nginxs(answer(port, path_of(old)))
        remaining = ",".join(":".join(key) for key in keys[:-1])
        house.env["SAFELIGHT_SIGNING_KEYS"] = remaining
        try:
            configured(house, tmp_path, port)  # what runs was adapted: it is kept, and a new one lies beside it
        finally:
            house.env["SAFELIGHT_SIGNING_KEYS"] = KEYS
        assert (tmp_path / "nginx.conf.new").exists()
        running.reload()
        assert is_nginxs(answer(port, path_of(file.url)))
        assert not is_nginxs(answer(port, path_of(old))), "the key is retired: the API alone decides"


def test_logs_have_no_query_strings(house: House, outer: Front) -> None:
    file = noted(house, house.plant(b"0123456789"))
    for target in (file.url, file.url + "0", file.url.replace("/0?", "/7?")):
        answer(outer.port, path_of(target))
    eventually(lambda: f"/v2/downloads/{file.id}/7" in outer.logs(), "it is logged")
    assert "sig=" not in outer.logs() and "exp=" not in outer.logs()
