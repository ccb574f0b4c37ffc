"""The pages of the catalog, without a browser."""

from __future__ import annotations

import csv
import io

import pytest

from tests.dashboard.conftest import Enter, House


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=drawn", ["drawn", "scene"]),
        ("q=a+drawn&type=video", ["scene"]),
        ("q=STILL&can=seed", ["still"]),
        ("q=clip&can=sound", ["clip"]),
        ("q=nobody", []),
    ],
)
def test_search_and_filters_are_in_the_address(house: House, visitor: Enter, query: str, expected: list[str]) -> None:
    reader = visitor(house.create().key)
    page = reader.get(f"/dashboard/models?{query}").text
    listed = list(csv.DictReader(io.StringIO(reader.get(f"/dashboard/models.csv?{query}").text)))
    assert [row["id"] for row in listed] == expected
    assert [row["id"] for row in reader.get(f"/dashboard/models.json?{query}").json()] == expected
    for name in expected:
        assert f'href="/dashboard/models/{name}"' in page
        assert f'href="/dashboard/playground?model={name}"' in page
    assert ("No model is like that" in page) is not bool(expected)


def test_one_model_has_everything_and_its_spend(house: House, visitor: Enter) -> None:
    account = house.create()
    with account.http() as client:
        assert client.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"}).status_code == 200
    reader, operator = visitor(account.key), visitor(house.code())
    page = reader.get("/dashboard/models/still").text
    for text in ("An image at once", "reference_image: 2 at most", "64 × 64", "$0.05</a>", "steps"):
        assert text in page
    assert "What is behind it" not in page
    theirs = operator.get("/dashboard/models/still").text
    assert "What is behind it" in theirs
    assert ">asked<" in theirs
    assert "$0.05</a>" in operator.get("/dashboard/models/still", params={"workspace": account.workspace}).text


def test_what_is_not_there_is_not_found(house: House, visitor: Enter) -> None:
    reader = visitor(house.create().key)
    assert reader.get("/dashboard/models/nobody").status_code == 404
    for query in ("type=sound", "can=fly"):
        assert reader.get(f"/dashboard/models?{query}").status_code == 400


def test_who_may_only_read_is_not_led_to_the_playground(house: House, visitor: Enter) -> None:
    reader = visitor(house.key_with(house.create(), "read").key)
    for path in ("/dashboard/models", "/dashboard/models/still"):
        answer = reader.get(path)
        assert answer.status_code == 200
        assert "playground?model=" not in answer.text
