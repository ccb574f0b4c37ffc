"""Reference images by link, for backends: the rules of downloads hold, and nothing else is opened."""

from __future__ import annotations

import hashlib
import json
import os
import time

import httpx
import msgspec
import pytest

from tests.delivery.house import House, Planted
from tests.delivery.test_downloads import GUARDED

SIZE_BYTES = 300_017


class Kept(msgspec.Struct, frozen=True):
    """A generation with a file of its own and a reference image, and a good link to that."""

    made: Planted
    content: bytes
    key: str
    url: str


def keep(house: House, *, workspace: str = "default") -> Kept:
    made, content = house.plant(b"made", workspace=workspace), os.urandom(SIZE_BYTES)
    key = f"inputs/2026/11/22/{made.id}-0.png"
    path = house.media / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    reference = {"role": "reference_image", "mime_type": "image/png", "key": key}
    request = json.dumps({"prompt": "planted", "references": [reference]})
    house.sql("update generations set request = %s where id = %s", request, made.id)
    return Kept(made, content, key, link(house, made.id))


def link(house: House, generation_id: str, index: int = 0, seconds: int = 3600) -> str:
    return house.link(generation_id, index, int(time.time()) + seconds, "reference")


@pytest.fixture(scope="module")
def kept(house: House) -> Kept:
    return keep(house)


def test_the_whole_of_it_its_headers_and_a_part(house: House, kept: Kept) -> None:
    whole = house.get(kept.url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, kept.content, "image/png")
    assert whole.headers["etag"] == f'"{hashlib.sha256(kept.content).hexdigest()}"'
    assert f'filename="{kept.made.id}-0-reference.png"' in whole.headers["content-disposition"]
    assert GUARDED.items() <= dict(whole.headers).items()
    headed = house.anonymous.head(kept.url)
    assert (headed.content, headed.headers["content-length"]) == (b"", str(SIZE_BYTES))
    part = house.get(kept.url, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, kept.content[10:20])
    assert house.get(kept.url, If_None_Match=whole.headers["etag"]).status_code == 304
    assert house.anonymous.post(kept.url).status_code == 405


def test_a_link_opens_what_it_was_made_for(house: House, kept: Kept) -> None:
    """Another's, unknown, of another index or kind: the same answer, byte for byte."""
    query, unknown = kept.url.partition("?")[2], "req-01JZ0000000000000000000000"
    other = keep(house)
    paths = [f"{id_}/{index}/reference" for id_ in (unknown, other.made.id) for index in (0, 1)]
    paths += [f"{kept.made.id}/{rest}" for rest in ("1/reference", "0", "0/thumbnail", "00/reference", "0/reference/x")]
    answers = [house.get(f"/v2/downloads/{path}?{query}") for path in paths]
    answers.append(house.get(f"/v2/downloads/{kept.made.id}/0/reference?{kept.made.url.partition('?')[2]}"))
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1


def gone(answer: httpx.Response) -> bool:
    return answer.status_code == 410 and answer.json()["error"]["code"] == "download_expired"


def test_what_is_no_more_is_gone(house: House, kept: Kept) -> None:
    assert gone(house.get(link(house, kept.made.id, seconds=-1)))
    assert gone(house.get(link(house, kept.made.id, 1))), "there is no second one"
    assert gone(house.get(link(house, kept.made.id, 9999)))
    assert gone(house.get(link(house, "req-01JZ0000000000000000000000")))
    plain = house.plant(b"made of words alone")
    assert gone(house.get(link(house, plain.id)))
    forgotten = keep(house)
    house.sql("update generations set request = null where id = %s", forgotten.made.id)
    assert gone(house.get(forgotten.url))
    swept = keep(house)
    (house.media / swept.key).unlink()
    assert gone(house.get(swept.url))
    assert house.get(kept.url).status_code == 200


def test_nothing_of_an_erased_workspace_is_sent(house: House) -> None:
    house.workspace("left")
    of_those_who_left = keep(house, workspace="left")
    assert house.get(of_those_who_left.url).status_code == 200
    house.sql("update workspaces set erased_at = now() where name = 'left'")
    assert gone(house.get(of_those_who_left.url))
    house.sql("update workspaces set erased_at = null where name = 'left'")
