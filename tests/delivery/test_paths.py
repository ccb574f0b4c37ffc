"""A path has one reading, for routes and links alike, and none that a proxy in front could read otherwise."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.raw import RawAnswer, exchange
from tests.delivery.house import House

SAME = {
    "slashes at the front": lambda path: f"//{path}",
    "doubled slashes": lambda path: path.replace("/", "//"),
    "a slash at the end": lambda path: f"{path}/",
    "slashes at the end": lambda path: f"{path}///",
    "an encoded letter": lambda path: f"{path[:-1]}%{ord(path[-1]):02x}",
    "encoded letters": lambda path: "/".join("".join(f"%{ord(c):02X}" for c in part) for part in path.split("/")),
}
NOTHING = {
    "an encoded slash": lambda path: "%2F".join(path.rsplit("/", 1)),
    "an encoded slash at the front": lambda path: f"/%2f{path[1:]}",
    "an encoded slash at the end": lambda path: f"{path}%2F",
    "a twice encoded letter": lambda path: f"{path[:-1]}%25{ord(path[-1]):02x}",
    "a dot segment": lambda path: f"/.{path}",
    "a dot segment before the last": lambda path: "/./".join(path.rsplit("/", 1)),
    "a dot segment at the end": lambda path: f"{path}/.",
    "two dots": lambda path: f"/x/..{path}",
    "two dots before the last": lambda path: "/x/../".join(path.rsplit("/", 1)),
    "encoded dots": lambda path: f"/x/%2e%2E{path}",
    "encoded dots before the last": lambda path: "/x/%2e%2e/".join(path.rsplit("/", 1)),
    "a backslash": lambda path: "\\".join(path.rsplit("/", 1)),
    "a parameter of a segment": lambda path: f"{path};x=1",
}


@pytest.fixture(scope="module")
def targets(house: House) -> dict[str, str]:
    """Paths, with their queries, that are answered with 200."""
    made = house.image()
    (file,) = made["data"]
    urls = {"a link": file["url"], "a thumbnail": file["thumbnail_url"]}
    return {
        **{name: httpx.URL(url).raw_path.decode() for name, url in urls.items()},
        "health": "/healthz",
        "a list": "/v2/models",
        "one of them": "/v2/models/still",
        "a stream": f"/v2/generations/{made['id']}/events",
        "a page": "/docs",
    }


def get(house: House, target: str) -> RawAnswer:
    lines = [f"GET {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {house.key}", "Connection: close"]
    return exchange(house.server.base_url, ["\r\n".join([*lines, "", ""]).encode()])


@pytest.mark.parametrize("spelling", [*SAME, *NOTHING])
def test_a_path_has_one_reading(spelling: str, house: House, targets: dict[str, str]) -> None:
    for name, target in targets.items():
        path, mark, query = target.partition("?")
        plain = get(house, target)
        assert plain.status == 200, name
        spelled = "/" + (SAME | NOTHING)[spelling](path).removeprefix("/")
        answer = get(house, spelled + mark + query)
        if spelling in SAME:
            assert (answer.status, answer.body) == (200, plain.body), spelled
        else:
            assert answer.status in (403, 404), spelled
            assert b'"code":"invalid_signature"' in answer.body or b'"code":"not_found"' in answer.body


@pytest.mark.parametrize("spelling", SAME)
def test_below_downloads_is_below_it_in_every_spelling(spelling: str, house: House) -> None:
    for path in ("/v2/downloads", "/v2/downloads/x/0", "/v2/downloads/x/0/thumbnail"):
        answer = get(house, SAME[spelling](path))
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (403, "*"), path
