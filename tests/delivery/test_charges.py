"""What is announced and charged is what was delivered, as measured on the file."""

from __future__ import annotations

from decimal import Decimal

from safelight.domain.money import NANOS_PER_USD
from tests.delivery.house import House


def test_a_shorter_clip_is_charged_for_what_it_is(house: House) -> None:
    available, held = house.balance()
    made = house.video("clip-short")
    assert made["status"] == "completed", made
    (file,) = made["data"]
    assert Decimal(str(file["duration"])) == 2, "ordered were three seconds"
    assert Decimal(str(made["usage"]["quantity"])) == 2
    assert Decimal(str(made["usage"]["total_cost"])) == Decimal("0.2")
    assert house.balance() == (available - NANOS_PER_USD // 5, held)
    kept = house.sql("select state, held_nanos, charged_nanos from generations where id = %s", made["id"])
    assert kept == [("completed", 3 * NANOS_PER_USD // 10, NANOS_PER_USD // 5)]


def test_the_facts_are_those_of_the_file(house: House) -> None:
    """The model promises another size: what counts is what came."""
    made = house.video("scene", sound=True)
    (file,) = made["data"]
    assert (file["width"], file["height"], file["mime_type"]) == (480, 270, "video/mp4")
    rows = house.sql("select duration_seconds, fps, has_sound from media where generation_id = %s", made["id"])
    ((duration, fps, has_sound),) = rows
    assert abs(duration - 4) < Decimal("0.1") and fps == 24 and has_sound


def test_what_is_no_media_costs_nothing(house: House) -> None:
    before = house.balance()
    answer = house.http.post("/v2/images/generations", json={"model": "no-image", "prompt": "a hill"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "generation_failed")
    assert house.balance() == before
    rows = house.sql("select state, charged_nanos from generations where model = 'no-image' order by id desc limit 1")
    assert rows == [("failed", 0)]
