"""The playground over HTTP: what can be chosen, what it costs, what is ordered, and once."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.accounts import Account
from tests.dashboard.benches import (
    PATH,
    Bench,
    element,
    ended,
    fields_in,
    held_of,
    made_of,
    nanos,
    picture,
    problem_at,
    runs_in,
    tree_of,
)
from tests.dashboard.conftest import REFUSED, Enter, House

ROOM = {"image_rpm": 1000, "video_rpm": 1000, "concurrency": 200}


@pytest.fixture
def account(house: House) -> Account:
    return house.create(**ROOM)


@pytest.fixture
def bench(account: Account, visitor: Enter) -> Callable[..., Bench]:
    """Opens the form, with a query of its address."""
    entered = visitor(account.key)
    return lambda query="": Bench(entered, query)


def test_only_what_the_model_has_can_be_chosen(bench: Callable[..., Bench]) -> None:
    form = bench("?model=wide&prompt=a+boat").fill(resolution="4K", aspect_ratio="16:9", seed="7")
    assert form.options["resolution"] == ["1K", "2K", "4K"]
    assert form.fields["prompt"] == "a boat"
    assert "duration" not in form.fields
    form.fill(**{"option.steps": "30"}).show()
    assert (form.fields["resolution"], form.fields["seed"], form.fields["option.steps"]) == ("4K", "7", "30")
    form.fill(model="talkie").show()
    assert form.options["resolution"] == ["480p", "720p"]
    kept = {name: form.fields[name] for name in ("resolution", "aspect_ratio", "seed", "prompt", "duration")}
    assert kept == {"resolution": "480p", "aspect_ratio": "16:9", "seed": "7", "prompt": "a boat", "duration": "3"}
    assert "output_format" not in form.fields and "option.steps" not in form.fields
    form.fill(model="still").show()
    assert form.fields["aspect_ratio"] == "1:1" and "option.steps" in form.fields


def _legal(rng: random.Random, form: Bench) -> dict[str, Any]:
    """One of all that the form lets one choose."""
    chosen: dict[str, Any] = {name: rng.choice(values) for name, values in form.options.items() if name != "model"}
    boxes = [each for each in tree_of(form.answer).by_id("ask").all("input") if each.attributes.get("name") == "sound"]
    chosen["sound"] = rng.choice(["1", None]) if boxes else None
    return chosen


def test_the_price_is_the_charge(house: House, account: Account, bench: Callable[..., Bench]) -> None:
    rng, form, quoted = random.Random(20261129), bench(), {}
    for number in range(50):
        model = rng.choice(["wide", "talkie", "clip", "still", "drawn"] if number % 10 else ["talkie"])
        form.fill(model=model, prompt=f"number {number}").show()
        form.fields.pop("sound", None)
        form.fill(**_legal(rng, form)).show()
        answer = form.run()
        assert answer.status_code == 303, answer.text
        (id_,) = runs_in(answer)
        quoted[id_] = form.price_nanos
        form.fields = fields_in(form.visitor.get(answer.headers["location"]))
    states = ended(house, *quoted)
    assert {id_: charged for id_, (_, charged) in states.items()} == quoted
    assert len({*quoted.values()}) > 10
    spent = house.run(
        "select 1000000000000 - available_nanos from accounts a join workspaces w on w.id = a.workspace_id "
        "where w.name = %s",
        account.workspace,
    )
    assert spent == [(sum(quoted.values()),)]
    ways = house.run("select distinct way_in from generations where id = any(%s)", list(quoted))
    assert ways == [("dashboard",)]


def test_a_form_sent_twice_is_one_order(house: House, account: Account, bench: Callable[..., Bench]) -> None:
    form = bench("?model=still").fill(prompt="twice")
    with ThreadPoolExecutor(4) as pool:
        answers = [each.result() for each in [pool.submit(form.run) for _ in range(4)]]
    assert {answer.status_code for answer in answers} == {303}
    assert len({runs_in(answer)[0] for answer in answers}) == 1
    ended(house, *runs_in(answers[0]))
    assert runs_in(form.run()) == runs_in(answers[0]), "after its end too"
    assert made_of(house, account.workspace) == 1
    after = fields_in(form.visitor.get(answers[0].headers["location"]))
    assert after["run"] != form.fields["run"]
    assert after["prompt"] == "twice"
    form.fields = after
    assert runs_in(form.run()) != runs_in(answers[0])


def test_a_form_changed_under_its_id_is_another_order(
    house: House, account: Account, bench: Callable[..., Bench]
) -> None:
    form = bench("?model=still").fill(prompt="first")
    first = runs_in(form.run())
    second = runs_in(form.fill(prompt="second").run())
    assert second != first
    assert runs_in(form.run()) == second, "which is known as well"
    assert runs_in(form.fill(prompt="first").run()) == first
    assert made_of(house, account.workspace) == 2


def test_a_price_that_is_not_the_one_shown_is_not_paid(
    house: House, account: Account, bench: Callable[..., Bench]
) -> None:
    form = bench("?model=wide").fill(prompt="dear").fill(resolution="4K")
    answer = form.run()
    assert answer.status_code == 409
    assert "It costs $0.123456" in answer.text
    assert made_of(house, account.workspace) == 0
    form.fields = fields_in(answer)
    assert form.run().status_code == 303


def test_the_balance_stands_beside_the_price(house: House, visitor: Enter) -> None:
    account = house.create(credit="0.13")
    form = Bench(visitor(account.key), "?model=wide").fill(prompt="a boat", resolution="4K")
    assert "leaves $0.006544 of $0.13" in element(form.show(), "after")
    form.fill(model="talkie", resolution="480p").show()
    assert element(form.answer, "price") == "$0.21"
    assert "$0.08 are missing" in element(form.answer, "after")
    answer = form.run()
    assert answer.status_code == 402
    assert "The balance is $0.13 and this costs $0.21: $0.08 are missing." in answer.text
    assert fields_in(answer)["prompt"] == "a boat"
    assert (made_of(house, account.workspace), held_of(house, account.workspace)) == (0, 0)


WRONG = [
    ("still", {"prompt": ""}, "prompt", 400),
    ("still", {"prompt": "x" * 4097}, "prompt", 400),
    ("still", {"prompt": "a\0b"}, "prompt", 400),
    ("still", {"prompt": REFUSED}, "prompt", 422),
    ("still", {"aspect_ratio": "7:1"}, "aspect_ratio", 400),
    ("still", {"resolution": "9K"}, "resolution", 400),
    ("still", {"output_format": "gif"}, "output_format", 400),
    ("still", {"seed": "-1"}, "seed", 400),
    ("still", {"seed": "4294967296"}, "seed", 400),
    ("drawn", {"seed": "1"}, "seed", 400),
    ("drawn", {"negative_prompt": "x"}, "negative_prompt", 400),
    ("still", {"negative_prompt": "x" * 4097}, "negative_prompt", 400),
    ("slow-clip", {"sound": "1"}, "sound", 400),
    ("still", {"retention_seconds": "1"}, "retention_seconds", 400),
    ("still", {"retention_seconds": "99999999"}, "retention_seconds", 400),
    ("still", {"option.steps": '"' + "x" * 17000 + '"'}, "option.steps", 400),
    ("still", {"option.steps": "a\0b"}, "option.steps", 400),
    ("clip", {"duration": "3"}, "duration", 400),
    ("clip", {"duration": "three"}, "duration", 400),
    ("still", {"model": "none"}, "model", 400),
    ("still", {"with": ["none"]}, "with", 400),
    ("still", {"with": ["clip"]}, "with", 400),
    ("still", {"with": ["wide", "drawn", "slow-still", "failing-image"]}, "with", 400),
]


@pytest.mark.parametrize(("model", "fields", "field", "status"), WRONG)
def test_what_is_wrong_is_said_at_its_field(
    house: House,
    account: Account,
    bench: Callable[..., Bench],
    model: str,
    fields: dict[str, Any],
    field: str,
    status: int,
) -> None:
    form = bench(f"?model={model}").fill(prompt="a boat", quoted="")
    answer = form.fill(**fields).run()
    assert answer.status_code == status
    assert problem_at(answer, field), answer.text
    assert (made_of(house, account.workspace), held_of(house, account.workspace)) == (0, 0)


def test_of_models_side_by_side_none_is_ordered_while_a_field_is_wrong(
    house: House, account: Account, bench: Callable[..., Bench]
) -> None:
    form = bench("?model=still").fill(prompt="a boat", resolution="4K", quoted="", **{"with": ["wide"]})
    answer = form.run()
    assert answer.status_code == 400
    assert problem_at(answer, "resolution")
    assert made_of(house, account.workspace) == 0


def test_limits_are_told_as_the_api_does(house: House, visitor: Enter) -> None:
    account = house.create(image_rpm=1)
    form = Bench(visitor(account.key), "?model=still").fill(prompt="one")
    form.fields = fields_in(form.visitor.get(form.run().headers["location"]))
    answer = form.run()
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "The limit of 1 image generations a minute is reached." in answer.text


def test_a_failure_is_shown_and_gives_its_hold_back(
    house: House, account: Account, bench: Callable[..., Bench]
) -> None:
    form = bench("?model=failing-image").fill(prompt="a boat", **{"with": ["refused-image", "still"]})
    form.show()
    answer = form.run()
    ids = runs_in(answer)
    states = ended(house, *ids)
    assert [states[id_][0] for id_ in ids] == ["failed", "completed", "failed"], "in the order of the form"
    page = form.visitor.get(answer.headers["location"])
    assert "generation_failed" in element(page, f"run-{ids[0]}")
    assert "content_policy_violation" in element(page, f"run-{ids[2]}")
    assert "$0.05" in element(page, f"run-{ids[1]}")
    assert held_of(house, account.workspace) == 0


def test_models_side_by_side(house: House, account: Account, bench: Callable[..., Bench]) -> None:
    form = bench("?model=wide").fill(prompt="a boat", resolution="2K", aspect_ratio="16:9", seed="5")
    form.fill(**{"with": ["still", "drawn"]}).show()
    assert form.price_nanos == nanos("$0.1405")
    bill = element(form.answer, "ask")
    assert "aspect ratio 1:1 instead of 16:9, resolution 1K instead of 2K" in bill
    assert "without seed" in bill
    answer = form.run()
    ids = runs_in(answer)
    states = ended(house, *ids)
    assert sum(charged or 0 for _, charged in states.values()) == form.price_nanos
    models = dict(house.run("select id, model from generations where id = any(%s)", ids))
    assert [models[id_] for id_ in ids] == ["wide", "still", "drawn"]
    assert runs_in(form.run()) == ids, "each is known by a key of its own"
    assert made_of(house, account.workspace) == 3
    assert fields_in(form.visitor.get(answer.headers["location"]))["with"] == ["still", "drawn"]


def test_one_that_is_refused_does_not_keep_the_others(house: House, visitor: Enter) -> None:
    account = house.create(credit="0.10")
    form = Bench(visitor(account.key), "?model=still").fill(prompt="a boat", **{"with": ["drawn", "wide"]})
    form.show()
    answer = form.run()
    assert answer.status_code == 200
    ids = runs_in(answer)
    assert len(ids) == 2
    assert "quota_exceeded" in element(answer, "runs")
    assert "wide" in element(answer, "runs")
    ended(house, *ids)
    form.fields = fields_in(answer)
    assert runs_in(form.run()) == ids, "what runs is not made twice"
    assert made_of(house, account.workspace) == 2


def test_references_by_file_and_from_the_gallery(house: House, account: Account, bench: Callable[..., Bench]) -> None:
    form = bench("?model=still").fill(prompt="a boat")
    (first,) = runs_in(form.run())
    ended(house, first)
    form = bench(f"?from={first}&use={first}")
    assert form.fields["pick.reference_image"] == [first]
    form.fill(prompt="the same at night").files = [("reference_image", picture())]
    answer = form.run()
    (second,) = runs_in(answer)
    ended(house, second)
    kept = house.run("select request->'references' from generations where id = %s", second)[0][0]
    assert [each["role"] for each in kept] == ["reference_image", "reference_image"]
    assert {each["mime_type"] for each in kept} == {"image/png", "image/jpeg"}
    assert runs_in(form.run()) == [second], "with its pictures it is the same order"
    form.files = [("reference_image", picture("blue"))]
    assert runs_in(form.run()) != [second], "and with another picture another"
    again = bench(f"?run={second}")
    assert again.fields["kept.reference_image"] == [f"{second}:0", f"{second}:1"]
    (third,) = runs_in(again.run())
    ended(house, third)
    copied = house.run("select request->'references' from generations where id = %s", third)[0][0]
    assert len(copied) == 2
    assert {each["key"] for each in copied}.isdisjoint(each["key"] for each in kept)


def test_references_that_do_not_fit_are_refused(house: House, account: Account, bench: Callable[..., Bench]) -> None:
    form = bench("?model=still").fill(prompt="a boat")
    form.files = [("reference_image", picture(color)) for color in ("red", "green", "blue")]
    answer = form.run()
    assert answer.status_code == 400
    assert "still takes at most 2 of role reference_image" in answer.text
    form.files = [("reference_image", b"no picture at all")]
    answer = form.run()
    assert answer.status_code == 400
    assert "is no PNG, JPEG or WebP image" in answer.text
    form.files = []
    for wrong in ("req-00000000000000000000000000", "../../etc/passwd"):
        answer = form.fill(**{"pick.reference_image": [wrong]}).run()
        assert answer.status_code == 400
        assert "There is no image" in answer.text
    assert (made_of(house, account.workspace), held_of(house, account.workspace)) == (0, 0)


def test_what_is_anothers_is_not_there(house: House, visitor: Enter, bench: Callable[..., Bench]) -> None:
    theirs = Bench(visitor(house.create().key), "?model=still").fill(prompt="theirs")
    theirs.files = [("reference_image", picture())]
    (id_,) = runs_in(theirs.run())
    ended(house, id_)
    mine = bench("?model=still").fill(prompt="mine")
    never = "req-00000000000000000000000000"
    for path in ("?run={}", "?from={}", "/runs/{}"):
        answers = [mine.visitor.get(PATH + path.format(each)) for each in (id_, never)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text.replace(id_, never) == answers[1].text
    assert mine.visitor.post(f"{PATH}/runs/{id_}/cancel", data={"run": id_}).status_code == 404
    for name, value in (("pick.reference_image", id_), ("kept.reference_image", f"{id_}:0")):
        mine.fields.pop("pick.reference_image", None)
        answer = mine.fill(**{name: [value]}).run()
        assert answer.status_code == 400
        assert id_ not in element(answer, "runs")
        for shown in (answer, mine.show()):
            assert f"/{id_}/" not in shown.text, "no link to the picture is signed for another"
    shown = mine.visitor.get(f"{PATH}?model=still&use={id_}")
    assert f'value="{id_}"' not in shown.text


def test_a_video_waits_in_the_queue_and_can_be_canceled(
    house: House, account: Account, bench: Callable[..., Bench]
) -> None:
    form = bench("?model=endless-clip").fill(prompt="a boat")
    answer = form.run()
    (id_,) = runs_in(answer)
    page = form.visitor.get(answer.headers["location"])
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "$0.20" in element(page, f"run-{id_}")
    answer = form.visitor.post(f"{PATH}/runs/{id_}/cancel", data={"run": [id_]})
    assert answer.status_code == 303
    assert ended(house, id_)[id_] == ("canceled", 0)
    page = form.visitor.get(answer.headers["location"])
    assert "canceled" in element(page, f"run-{id_}")
    assert "http-equiv" not in page.text
    assert held_of(house, account.workspace) == 0


def test_what_is_gone_is_said(house: House, account: Account, bench: Callable[..., Bench]) -> None:
    form = bench("?model=wide").fill(prompt="a boat", quoted="", resolution="2K")
    (id_,) = runs_in(form.run())
    ended(house, id_)
    house.run("update generations set model = 'sold' where id = %s", id_)
    assert "Its model sold is no longer in the catalog" in bench(f"?from={id_}").answer.text
    house.run("update generations set model = 'wide' where id = %s", id_)
    assert bench(f"?from={id_}").fields["resolution"] == "2K"
    with account.http() as client:
        assert client.delete(f"/v2/generations/{id_}/media").status_code == 200
    gone = bench(f"?from={id_}")
    assert "What was asked for is gone" in gone.answer.text
    assert (gone.fields["model"], gone.fields["prompt"]) == ("wide", "")


def test_without_a_script_the_form_is_updated_by_its_button(bench: Callable[..., Bench]) -> None:
    form = bench("?model=still").fill(prompt="line one\r\nline two", model="talkie", seed="3")
    answer = form.visitor.post(
        PATH, files=[*((name, (None, value)) for name, value in form.pairs()), ("do", (None, "update"))]
    )
    assert answer.status_code == 200
    fields = fields_in(answer)
    assert (fields["model"], fields["duration"], fields["seed"]) == ("talkie", "3", "3")
    assert fields["prompt"] == "line one\nline two"
    assert fields["run"] == form.fields["run"]


def test_who_may_only_read_may_not_order(house: House, account: Account, visitor: Enter) -> None:
    reader = visitor(house.key_with(account, "read").key)
    assert reader.get(PATH).status_code == 403
    assert reader.post(PATH, files=[("prompt", (None, "x"))]).status_code == 403
    assert reader.post(f"{PATH}/form", data={"prompt": "x"}).status_code == 403


def test_an_operator_orders_for_the_workspace_they_look_at(house: House, account: Account, visitor: Enter) -> None:
    form = Bench(visitor(house.code()), f"?workspace={account.workspace}&model=still").fill(prompt="a boat")
    form.visitor.post("/dashboard/workspace", data={"workspace": account.workspace})
    ended(house, *runs_in(form.run()))
    assert made_of(house, account.workspace) == 1


def test_what_is_ordered_is_paid_by_the_workspace_that_the_page_shows(house: House, visitor: Enter) -> None:
    """Another tab may look at another workspace since, or be somebody else's."""
    shown, other = house.create(), house.create()
    operator = visitor(house.code())
    form = Bench(operator, f"?workspace={shown.workspace}&model=endless-clip").fill(prompt="a boat")
    operator.cookies.set("safelight-workspace", other.workspace)
    answer = form.run()
    assert answer.status_code == 303
    assert (made_of(house, shown.workspace), made_of(house, other.workspace)) == (1, 0)
    (id_,) = runs_in(answer)
    page = operator.get(answer.headers["location"])
    (cancel,) = [
        each.attributes["action"]
        for each in tree_of(page).by_id(f"run-{id_}").all("form")
        if each.attributes["action"].partition("?")[0].endswith("/cancel")
    ]
    assert operator.post(cancel, data={"run": [id_]}).status_code == 303
    assert ended(house, id_)[id_] == ("canceled", 0)
    form = Bench(visitor(shown.key), "?model=still").fill(prompt="a boat")
    form.visitor = visitor(other.key)
    assert form.run().status_code == 404
    assert made_of(house, other.workspace) == 0


def test_each_order_and_each_cancellation_leaves_one_line(
    house: House, account: Account, bench: Callable[..., Bench]
) -> None:
    form = bench("?model=endless-clip").fill(prompt="a boat", **{"with": ["slow-clip"]})
    form.show()
    ids = runs_in(form.run())
    assert runs_in(form.run()) == ids
    form.fill(duration="none").run()
    for id_ in ids:
        assert form.visitor.post(f"{PATH}/runs/{id_}/cancel", data={"run": ids}).status_code == 303
    lines = house.run(
        "select action, target, detail->>'model' from audit_log where target = any(%s) and workspace_id ="
        " (select id from workspaces where name = %s) order by id",
        ids,
        account.workspace,
    )
    ordered = [("generation.create", id_, model) for id_, model in zip(ids, ["endless-clip", "slow-clip"], strict=True)]
    assert lines == [*ordered, *(("generation.cancel", id_, None) for id_ in ids)]
