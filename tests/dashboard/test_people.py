"""People whom a proxy in front names, and anybody else who says that they are one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from safelight.domain.errors import ConfigurationError
from safelight.node.settings import load_settings
from safelight.wiring import proxies_of
from safelight.wiring.serving import load_dialects
from tests.dashboard.conftest import SETTINGS
from tests.support.server import Server, open_folder, running

PEOPLE = """
[[people]]
name = "ada@example.com"
role = "operator"

[[people]]
name = "ben@example.com"
role = "generate"
workspace = "default"

[[people]]
name = "zoë@example.com"
role = "admin"
workspace = "default"

[[people]]
name = "*"
role = "read"
workspace = "default"
"""
HEADER = "X-Forwarded-Email"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with open_folder() as folder:
        (folder / "people.toml").write_text(PEOPLE)
        started = Server(
            folder / "data",
            env={
                **SETTINGS,
                "SAFELIGHT_PROXIES": "127.0.0.1",
                "SAFELIGHT_DASHBOARD_TRUSTED_HEADER": HEADER,
                "SAFELIGHT_DASHBOARD_PEOPLE": str(folder / "people.toml"),
            },
        )
        with running(started):
            yield started.wait_until_ready()


def get(server: Server, *names: str, path: str = "/dashboard", sender: str = "127.0.0.1") -> httpx.Response:
    """What a sender at this address gets who gives these names."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=sender)) as client:
        return client.get(f"{server.base_url}{path}", headers=[(HEADER, name.encode()) for name in names])


def test_each_may_do_what_the_file_says(server: Server) -> None:
    as_operator = get(server, "ada@example.com")
    assert as_operator.status_code == 200 and "Workspaces" in as_operator.text
    may_generate = get(server, "ben@example.com")
    assert "Playground" in may_generate.text and "Workspaces" not in may_generate.text
    everybody_else = get(server, "eve@example.com")
    assert everybody_else.status_code == 200 and "Playground" not in everybody_else.text
    assert "set-cookie" not in as_operator.headers


def test_names_are_utf_8(server: Server) -> None:
    assert "Keys" in get(server, "zoë@example.com").text
    assert "Keys" not in get(server, "zoé@example.com").text


def test_who_has_a_workspace_sees_no_other(server: Server) -> None:
    assert get(server, "ben@example.com", path="/dashboard?workspace=default").status_code == 200
    assert get(server, "ben@example.com", path="/dashboard?workspace=another").status_code == 404


def test_nobody_else_is_believed(server: Server) -> None:
    for sender, names in (
        ("127.0.0.2", ["ada@example.com"]),  # no proxy of ours
        ("127.0.0.1", []),  # a proxy that names nobody
        ("127.0.0.1", ["ada@example.com", "eve@example.com"]),  # one of the two is the client's
    ):
        answer = get(server, *names, sender=sender)
        assert answer.status_code == 403 and "named nobody" in answer.text, (sender, names)


def test_a_session_counts_for_nothing_there(server: Server) -> None:
    with httpx.Client(base_url=server.base_url, headers={"sec-fetch-site": "same-origin"}) as client:
        assert client.post("/dashboard/login", data={"secret": server.key}).status_code == 403
        assert client.get("/dashboard").status_code == 403
        answer = client.get("/dashboard", headers={"accept": "text/html"})
        style = answer.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert client.get(style).status_code == 200, "the page that says so is whole"


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ('[[people]]\nname = "a"\nrole = "read"\n', "needs a workspace"),
        ('[[people]]\nname = "a"\nrole = "operator"\nworkspace = "w"\n', "has none"),
        ('[[people]]\nname = "a"\nrole = "king"\n', "king"),
        ('[[persons]]\nname = "a"\n', "persons"),
        ("[[people]\n", "people.toml"),
        (None, "There is no file"),
    ],
)
def test_a_file_that_is_wrong_is_said_at_the_start(
    people: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "people.toml"
    if people is not None:
        path.write_text(people)
    monkeypatch.setenv("SAFELIGHT_PROXIES", "127.0.0.1")
    monkeypatch.setenv("SAFELIGHT_DASHBOARD_TRUSTED_HEADER", HEADER)
    monkeypatch.setenv("SAFELIGHT_DASHBOARD_PEOPLE", str(path))
    with pytest.raises(ConfigurationError, match=said):
        load_dialects(load_settings())


def test_a_proxy_is_known_also_where_a_server_listens_on_ipv6_and_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_PROXIES", "10.0.0.1/8, fd00::7")
    assert proxies_of(load_settings()) == ["10.0.0.0/8", "::ffff:10.0.0.0/104", "fd00::7/128"]


def test_the_header_alone_is_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_DASHBOARD_TRUSTED_HEADER", HEADER)
    with pytest.raises(ConfigurationError, match="SAFELIGHT_PROXIES"):
        load_settings()
