"""nginx checks links itself: it answers as the API does, to the byte, and sends nothing that the API refuses."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.blobs.link_notes import LinkNotes
from safelight.cli import run
from safelight.domain.ports import LinkNote
from tests.delivery.house import KEYS, House, Planted
from tests.support.nginx import HAS_NJS, NGINX, Front, adapt, front
from tests.support.server import eventually, free_port

pytestmark = pytest.mark.skipif(NGINX is None or not HAS_NJS, reason="nginx or its njs module is not installed")

_OWN = {"date", "server", "connection", "x-request-id", "transfer-encoding"}
_Answer = tuple[int, dict[str, str], bytes]


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


def configured(house: House, folder: Path, port: int, *more: str) -> None:
    status, _, errors = command(house, "--output", str(folder), "--listen", f"127.0.0.1:{port}", *more)
    assert status == 0, errors


def command(house: House, *arguments: str) -> tuple[int, str, str]:
    """Run ``safelight nginx-config`` in this process: status, and what it said."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        for name, value in house.env.items():
            patch.setenv(name, value)
        status = run(["nginx-config", *arguments, "--data-dir", str(house.server.data_dir)])
    return status, out.getvalue(), err.getvalue()


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


def answer(port: int, target: str | bytes, headers: list[tuple[str, str]] | None = None, method: str = "GET") -> _Answer:
    """The answer to a request whose target is sent as it is; nothing but the status if it is no HTTP."""
    raw = target if isinstance(target, bytes) else target.encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers or [])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = b"%b %b HTTP/1.1\r\nHost: x\r\n" % (method.encode(), raw)
        connection.sendall(head + fields.encode() + b"Connection: close\r\n\r\n")
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            body = response.read()
        except http.client.HTTPException:
            return 0, {}, b""
        fields_of: dict[str, str] = {}
        for name, value in response.getheaders():
            assert name.lower() not in fields_of, f"{name} comes twice"
            fields_of[name.lower()] = value
        return response.status, fields_of, body


def is_nginxs(given: _Answer) -> bool:
    """Whether nginx sent the file itself: its request ids are longer than ours."""
    return len(given[1].get("x-request-id", "")) == 32


def plain(given: _Answer) -> _Answer:
    """Without what differs between any two answers."""
    status, headers, body = given
    boundary = re.search(r"boundary=(\w+)", headers.get("content-type", ""))
    if boundary:
        body = body.replace(boundary[1].encode(), b"B")
        headers = {**headers, "content-type": headers["content-type"].replace(boundary[1], "B")}
    return status, {name: value for name, value in headers.items() if name not in _OWN}, body


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def compare(house: House, outer: Front, target: str, headers: list[tuple[str, str]], method: str = "GET") -> _Answer:
    """Both answers, which must be the same; that of nginx. The seconds left may have gone by in between: once more then."""
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
        ([("Accept-Encoding", "gzip"), ("Authorization", "Bearer sk_x"), ("Cookie", "a=b"), ("Origin", "null")], True, True),
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


_BITS = st.sampled_from(
    ["&", "=", "exp", "sig", "%", "%00", "%2e", "..", "/", "?", "#", "0", "00", "+", ";", "A", "a", "é", "thumbnail", "\x7f", "x" * 3000]
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
    with house.beside({"SAFELIGHT_KILLPOINT": "expire-after-tombstone"}) as doomed, pytest.raises(Exception):  # noqa: B017, PT011
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
    late = noted(house, house.plant(b"abc", workspace=house.sql("select name from workspaces where erased_at is not null")[0][0]))
    assert not is_nginxs(answer(outer.port, path_of(late.url))), "a note that comes late opens nothing again"


def test_notes_of_files_that_are_gone_are_swept(house: House, outer: Front) -> None:
    kept, gone = (noted(house, house.plant(secrets.token_bytes(9))) for _ in range(2))
    Path(gone.path).unlink()
    house.sql("delete from media where generation_id = %s", gone.id)
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
            [str(NGINX), "-T", "-c", tmp_path / "nginx.conf", "-e", tmp_path / "t.log"], capture_output=True, check=True, text=True
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


class Upstream:
    """A server that does with each connection as it is told, and remembers the heads of requests."""

    def __init__(self, act: Callable[[socket.socket, bytes], None]) -> None:
        self.heads: list[bytes] = []
        self._act = act
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(65536)
                if not more:
                    return
                head += more
            self.heads.append(head)
            self._act(connection, head)

    def close(self) -> None:
        with suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def between(house: House, folder: Path, *actions: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[Front, list[Upstream]]]:
    upstreams, port = [Upstream(action) for action in actions], free_port()
    try:
        options = [part for upstream in upstreams for part in ("--upstream", upstream.address)]
        configured(house, folder, port, *options)
        with front(folder, port) as running:
            yield running, upstreams
    finally:
        for upstream in upstreams:
            upstream.close()


def _hang_up(connection: socket.socket, head: bytes) -> None:
    """Take the request, and go without an answer."""


def test_a_post_that_was_sent_is_never_sent_again(house: House, tmp_path: Path) -> None:
    with between(house, tmp_path, _hang_up, _hang_up) as (running, upstreams):
        for number in range(4):
            body = [("Content-Length", "0"), ("X-Number", str(number))]
            assert answer(running.port, "/v2/images/generations", body, "POST")[0] == 502
        eventually(lambda: sum(len(each.heads) for each in upstreams) >= 1, "one has come")
        heads = [head for upstream in upstreams for head in upstream.heads]
        numbers = re.findall(rb"X-Number: (\d)", b"".join(heads))
        assert len(numbers) == len(set(numbers)), "each at one node"
        assert all(b"POST " in head and b"X-Forwarded-For: 127.0.0.1" in head for head in heads)


def test_a_post_goes_to_another_node_where_one_is_not_there(house: House, tmp_path: Path) -> None:
    def fine(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    with between(house, tmp_path, _hang_up, fine) as (running, upstreams):
        upstreams[0].close()
        for _ in range(3):
            given = answer(running.port, "/v2/videos/generations", [("Content-Length", "0")], "POST")
            assert (given[0], given[2]) == (202, b"ok")
        assert len(upstreams[1].heads) == 3


def test_events_come_as_they_are_sent_and_uploads_pass(house: House, outer: Front, tmp_path: Path) -> None:
    seen = threading.Event()

    def stream(connection: socket.socket, head: bytes) -> None:
        if b"POST" in head:
            length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
            left = length - len(head.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(connection.recv(1 << 20))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n%08d" % length)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n")
        seen.wait(30)
        connection.sendall(b"data: last\n\n")

    with between(house, tmp_path, stream) as (running, _):
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(b"GET /v2/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            given = b""
            while b"first" not in given:
                given += connection.recv(4096)
            assert b"last" not in given, "the first is here before the last is sent"
            seen.set()
            while more := connection.recv(4096):
                given += more
            assert b"last" in given
        size = 25 * 1024 * 1024
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as connection:
            connection.sendall(b"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            connection.sendall(bytes(size))
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.read() == b"%08d" % size


def test_a_changed_configuration_is_kept(house: House, tmp_path: Path) -> None:
    configured(house, tmp_path, 8080)
    assert not (tmp_path / "nginx.conf.new").exists()
    adapt(tmp_path / "nginx.conf", tmp_path)
    changed = (tmp_path / "nginx.conf").read_text()
    configured(house, tmp_path, 8080)
    assert (tmp_path / "nginx.conf").read_text() == changed and (tmp_path / "nginx.conf.new").exists()
    status, printed, _ = command(house)
    assert status == 0 and printed.startswith("# nginx in front of Safelight") and "listen 80;" in printed
    status, _, errors = command(house, "--listen", "80; include /etc/passwd")
    assert status == 1 and "cannot stand in a configuration" in errors
