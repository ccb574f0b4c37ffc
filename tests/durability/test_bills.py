"""What it costs: each sum charged, paid and lost is exact, and no loss is there twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safelight.accounts.margins import list_margins, recent_losses
from safelight.domain.scope import OPERATOR
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model, Process
from tests.support.postgres import on_database
from tests.support.server import eventually, safelight

CENT = 10_000_000
"""The price of a picture, and of each second; a clip of two seconds is ordered. In nano-dollars, as all here."""

FAILS = {"behaviour": "fails_later", "times": -1, "retry_after_seconds": 0.05, "job_seconds": 0.1}
LONG = {"behaviour": "job", "job_seconds": 600, "poll_seconds": 0.2}
DECLINES = {"behaviour": "unavailable", "times": -1, "retry_after_seconds": 0.05}
CONNECTIONS = {name: {"kind": "chaos", "memory": name} for name in ("other", "closed")}


def billed(reason: str = "permanent", **more: object) -> dict[str, object]:
    return {**FAILS, "fails_as": reason, "bills_failures": True, **more}


Binding = tuple[str, Mapping[str, object], str | None]  # connection, options, cost
Loss = tuple[str, str, int | None]  # connection, reason, what it cost

# model -> its bindings; what was charged and what it cost (None: nobody said), or None where nothing was made; losses
CASES: dict[str, tuple[tuple[Binding, ...], tuple[int, int | None] | None, tuple[Loss, ...]]] = {
    "image-stated": ((("noop", {}, "0.004"),), (CENT, 4_000_000), ()),
    "image-told": ((("chaos", {"cost": "0.0025"}, "0.004"),), (CENT, 2_500_000), ()),
    "image-told-free": ((("chaos", {"cost": "0"}, "0.004"),), (CENT, 0), ()),
    "image-even": ((("noop", {}, "0.01"),), (CENT, 10_000_000), ()),
    "image-not-known": ((("noop", {}, None),), (CENT, None), ()),
    "video-stated": ((("noop", {}, "0.003"),), (2 * CENT, 6_000_000), ()),
    "video-shorter": ((("noop", {"delivered_seconds": 1}, "0.003"),), (CENT, 3_000_000), ()),
    "video-failed": ((("chaos", billed(cost="0.01"), "0.003"),), None, (("chaos", "failed", CENT),)),
    "video-failed-stated": ((("chaos", billed(), "0.003"),), None, (("chaos", "failed", 6_000_000),)),
    "video-failed-not-known": ((("chaos", billed(), None),), None, (("chaos", "failed", None),)),
    "video-failed-free": ((("chaos", {**FAILS, "fails_as": "permanent", "cost": "0.01"}, "0.003"),), None, ()),
    "video-failed-often": (
        (("chaos", billed("transient", cost="0.01"), None),),
        None,
        (("chaos", "failed", CENT),) * 4,
    ),
    "video-fell-over": (
        (("chaos", billed("transient", cost="0.01"), None), ("other", {"cost": "0.002"}, None)),
        (2 * CENT, 2_000_000),
        (("chaos", "failed", CENT),),
    ),
    "image-undelivered": (
        (("chaos", {"behaviour": "html", "cost": "0.0025"}, None),),
        None,
        (("chaos", "undelivered", 2_500_000),),
    ),
    "image-undelivered-stated": (
        (("chaos", {"behaviour": "html"}, "0.004"),),
        None,
        (("chaos", "undelivered", 4_000_000),),
    ),
    "image-undelivered-ours": ((("chaos", {"behaviour": "html"}, None),), None, ()),
    "image-refused": ((("chaos", {"behaviour": "refused", "cost": "0.0025"}, "0.004"),), None, ()),
    "video-lost": (
        (("chaos-blind", {"behaviour": "lost_answer"}, "0.003"),),
        None,
        (("chaos-blind", "unknown", 6_000_000),),
    ),
    "video-late": ((("chaos", LONG, "0.003"),), None, (("chaos", "unknown", 6_000_000),)),
    "video-late-stopped": ((("chaos", {**LONG, "cancels": True}, "0.003"),), None, ()),
    "video-late-billed": (
        (("chaos", {**LONG, "cancels": True, "bills_failures": True}, "0.003"),),
        None,
        (("chaos", "canceled", 6_000_000),),
    ),
    # Its breaker is open until the deadline: nobody has the order.
    "video-late-declined": (
        (("closed", DECLINES, "0.003"), ("closed", {**DECLINES, "seed": 1}, "0.003")),
        None,
        (),
    ),
    "video-canceled": (
        (("chaos", {**LONG, "cancels": True, "bills_failures": True}, "0.003"),),
        None,
        (("chaos", "canceled", 6_000_000),),
    ),
    "video-canceled-free": ((("chaos", {**LONG, "cancels": True}, "0.003"),), None, ()),
}


def model(name: str) -> Model:
    bindings = CASES[name][0]
    is_late = "late" in name or "lost" in name
    return Model(
        name,
        name.partition("-")[0],
        *((connection, options) for connection, options, _ in bindings),
        costs=tuple(cost for *_, cost in bindings),
        deadline_seconds=4 if is_late else None,
    )


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    """Where each of the cases has come to its end."""
    made = deploy_for_all()
    made.edit_catalog(*map(model, CASES), connections=CONNECTIONS)
    api, _ = made.serve(), made.worker()
    videos = {name: made.video(api, name) for name in CASES if name.startswith("video")}
    for name in CASES:
        if name.startswith("image"):
            made.image(api, name)
    for name in ("video-canceled", "video-canceled-free"):
        eventually(lambda name=name: made.row(videos[name])["handle"] is not None, "the backend has it")  # type: ignore[misc]
        made.request(api, "DELETE", f"/v2/videos/generations/{videos[name]}")
    for generation_id in videos.values():
        made.wait_for_state(generation_id, "completed", "failed", "canceled")
    return made


def around_today() -> dict[str, Any]:
    today = datetime.now(UTC).date()
    return {"first": today - timedelta(days=1), "last": today}


@pytest.mark.parametrize("name", CASES)
def test_each_sum_is_exact(site: Deployment, name: str) -> None:
    _, made, lost = CASES[name]
    found = on_database(site.url, lambda db: list_margins(OPERATOR, db, **around_today()))
    margins = [row for row in found.margins if row.model == name and row.completed]
    uncosted = [(row.completed, row.charged_nanos) for row in found.uncosted if row.model == name]
    if made is None:
        assert (margins, uncosted) == ([], [])
    elif made[1] is None:
        assert (margins, uncosted) == ([], [(1, made[0])])
    else:
        assert [(row.completed, row.charged_nanos, row.cost_nanos) for row in margins] == [(1, *made)]
        assert [row.connection for row in margins] == [CASES[name][0][-1][0]]
        assert uncosted == []
    losses = [(loss.connection, loss.reason, loss.cost_nanos) for loss in found.losses if loss.model == name]
    assert losses == list(lost)
    of_days = [row for row in found.margins if row.model == name and row.losses]
    assert sum(row.losses for row in of_days) == len(lost)
    assert sum(row.lost_nanos for row in of_days) == sum(cost or 0 for *_, cost in lost)
    assert sum(row.losses_of_unknown_cost for row in of_days) == [cost for *_, cost in lost].count(None)


def test_what_was_lost_within_a_day_is_told_by_connection(site: Deployment) -> None:
    lost = [loss for *_, losses in CASES.values() for loss in losses]
    assert {
        row.connection: (row.losses, row.losses_of_unknown_cost, row.lost_nanos)
        for row in on_database(site.url, lambda db: recent_losses(OPERATOR, db))
    } == {
        connection: (
            sum(loss[0] == connection for loss in lost),
            sum(loss[0] == connection and loss[2] is None for loss in lost),
            sum(loss[2] or 0 for loss in lost if loss[0] == connection),
        )
        for connection in ("chaos", "chaos-blind")
    }
    site.sql("update losses set at = at - interval '1 day' where connection = 'chaos-blind'")
    try:
        assert [row.connection for row in on_database(site.url, lambda db: recent_losses(OPERATOR, db))] == ["chaos"]
    finally:
        site.sql("update losses set at = at + interval '1 day' where connection = 'chaos-blind'")


def run_json(site: Deployment, *words: str) -> Any:
    done = safelight(*words, "--json", env=site.env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_tells_all_of_it(site: Deployment) -> None:
    told = run_json(site, "margins", "--days", "2")
    (short,) = (row for row in told["margins"] if row["model"] == "video-shorter")
    assert (short["completed"], short["charged"], short["cost"]) == (1, "0.01", "0.003")
    assert (short["margin"], short["percent"], short["lost"]) == ("0.007", "70.0", "0.00")
    assert told["cost_not_known"] == [{"model": "image-not-known", "completed": 1, "charged": "0.01"}]
    (lost,) = (loss for loss in told["losses"] if loss["model"] == "image-undelivered-stated")
    assert (lost["workspace"], lost["connection"], lost["reason"], lost["cost"]) == (
        "default",
        "chaos",
        "undelivered",
        "0.004",
    )
    in_words = safelight("margins", "--days", "2", env=site.env).stdout
    for word in ("70.0", "0.00 and 1 not known", "Cost not known: 1 completed of image-not-known, charged 0.01."):
        assert word in in_words
    assert lost["generation"] in in_words
    assert run_json(site, "margins", "--workspace", "default", "--days", "2") == told
    safelight("workspaces", "create", "another", env=site.env)
    nothing = run_json(site, "margins", "--workspace", "another")
    assert nothing == {"margins": [], "cost_not_known": [], "losses": []}


def test_the_operator_sees_what_one_cost(site: Deployment) -> None:
    (row,) = site.sql("select id from generations where model = 'video-fell-over'")
    assert run_json(site, "generations", "show", row["id"])["cost"] == "0.002"
    told = {"seed": 7, "backend_stage": "queued", "backend_place": 3}
    site.sql("update generations set seed = 7, backend_stage = 'queued', backend_place = 3 where id = %s", row["id"])
    assert {name: run_json(site, "generations", "show", row["id"])[name] for name in told} == told
    (row,) = site.sql("select id from generations where model = 'video-failed'")
    shown = run_json(site, "generations", "show", row["id"])
    assert (shown["cost"], shown["backend_reports"][0]["cost"], shown["backend_reports"][0]["is_billed"]) == (
        None,
        "0.01",
        True,
    )


def test_the_books_know_nothing_of_it(site: Deployment) -> None:
    before = run_json(site, "books", "--all")
    assert before["balances"]
    site.sql("update losses set cost_nanos = cost_nanos + 1")
    try:
        assert run_json(site, "books", "--all") == before
    finally:
        site.sql("update losses set cost_nanos = cost_nanos - 1")
    site.check_nothing_held()


@pytest.fixture
def billing(deploy: Deploy) -> tuple[Deployment, Process]:
    """Whose backend bills a job that fails, and makes the next."""
    site = deploy(
        Model("again", "video", ("chaos", billed("transient", times=1, cost="0.01"))),
        Model("fails", "video", ("chaos", billed(cost="0.01"))),
        env={"SAFELIGHT_LEASE": "50s"},
    )
    return site, site.serve()


def losses_of(site: Deployment, generation_id: str) -> list[int]:
    rows = site.sql("select cost_nanos from losses where generation_id = %s", generation_id)
    return [row["cost_nanos"] for row in rows]


def test_who_ends_after_a_withdrawal_leaves_one_loss(billing: tuple[Deployment, Process]) -> None:
    site, api = billing
    generation_id = site.video(api, "again")
    site.worker(KILLPOINT="run-after-withdraw").wait()
    assert losses_of(site, generation_id) == [CENT]
    site.let_lease_run_out(generation_id)
    site.worker()
    assert site.ended(api, generation_id)["status"] == "completed"
    assert losses_of(site, generation_id) == [CENT]


@pytest.mark.parametrize(("killpoint", "meanwhile"), [("settle-before-commit", []), ("settle-after-commit", [CENT])])
def test_who_ends_at_the_settlement_leaves_one_loss(
    billing: tuple[Deployment, Process], killpoint: str, meanwhile: list[int]
) -> None:
    site, api = billing
    generation_id = site.video(api, "fails")
    site.worker(KILLPOINT=killpoint).wait()
    assert losses_of(site, generation_id) == meanwhile
    site.let_lease_run_out(generation_id)
    site.worker()
    assert site.ended(api, generation_id)["status"] == "failed"
    assert losses_of(site, generation_id) == [CENT]
    assert site.memory.taken(generation_id) == 1


@pytest.mark.parametrize(
    ("bills", "lost"), [(False, []), (True, [{"reason": "canceled", "cost_nanos": 6_000_000}])], ids=["free", "billed"]
)
def test_what_is_given_up_and_stopped_costs_what_the_backend_says(
    deploy: Deploy, bills: bool, lost: list[dict[str, object]]
) -> None:
    stops = {**LONG, "cancels": True, "bills_failures": bills}
    site = deploy(Model("long", "video", ("chaos", stops), costs=("0.003",)), env={"SAFELIGHT_LEASE": "50s"})
    api = site.serve()
    generation_id = site.video(api, "long")
    site.worker(KILLPOINT="run-after-handle").wait()
    site.sql("update generations set attempts = 5 where id = %s", generation_id)
    site.let_lease_run_out(generation_id)
    site.worker()
    assert site.ended(api, generation_id)["status"] == "failed"
    assert site.sql("select reason, cost_nanos from losses") == lost


def test_erasing_a_workspace_leaves_the_sums_without_its_name(deploy: Deploy) -> None:
    site = deploy(Model("html", "image", ("chaos", {"behaviour": "html", "cost": "0.0025"})))
    site.image(site.serve(), "html")
    before = run_json(site, "margins")
    assert before["losses"][0]["workspace"] == "default"
    assert safelight("workspaces", "erase", "default", "--yes", env=site.env).returncode == 0
    after = run_json(site, "margins")
    assert after["margins"] == before["margins"]
    (loss,) = after["losses"]
    assert loss["workspace"].startswith("erased-")
    assert {**loss, "workspace": "default"} == before["losses"][0]
