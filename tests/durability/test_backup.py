"""An installation that is backed up while it works and goes on, and what the copy that is put back means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from safelight.accounts.books import check_and_record_books
from safelight.accounts.keys import create_key, revoke_key
from safelight.accounts.webhooks import create_endpoint
from safelight.accounts.workspaces import workspace_scope
from safelight.db.embedded import EmbeddedPostgres
from safelight.domain.scope import OPERATOR
from safelight.outbound.policy import OutboundPolicy
from safelight.providers.chaos import Memory
from tests.dashboard.receiving import Receiver, open_receiver
from tests.durability.deployment import Model, catalog_text
from tests.support.histories import Past, put_on_record
from tests.support.postgres import on_database
from tests.support.server import (
    PATIENCE_SECONDS,
    Server,
    eventually,
    free_port,
    open_folder,
    running,
    safelight,
)

CONNECTIONS = {name: {"kind": "chaos", "memory": name} for name in ("one", "two")}
FOR_LONG = 3600.0
MODELS = (
    Model("still", "image", ("one", {})),
    Model("clip", "video", ("one", {})),
    Model("job", "video", ("one", {"behaviour": "job", "job_seconds": FOR_LONG})),
    Model("hanging", "video", ("one", {"behaviour": "accept_then_hang", "answer_seconds": FOR_LONG})),
    Model("falling", "video", ("one", {"behaviour": "fails_later", "times": -1, "job_seconds": FOR_LONG}), ("two", {})),
)


def command(*arguments: str | Path, status: int = 0) -> str:
    """Run a command in a process of its own; what it says."""
    done = safelight(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


class Story(msgspec.Struct, kw_only=True):
    """What was made before the backup and after it, and what was said."""

    folder: Path
    copy: Path
    archive: Path
    server: Server
    memories: dict[str, Memory]
    kept: dict[str, Any]
    deleted: dict[str, Any]
    later: dict[str, Any]
    receipt: dict[str, Any]
    under_way: dict[str, str]
    webhook_ids: set[str]
    revoked_key: str
    said: str

    def calls(self, what: str) -> dict[str, int]:
        """How often each connection was given the order."""
        return {name: memory.calls(self.under_way[what]) for name, memory in self.memories.items()}

    def get(self, path: str, **headers: str) -> httpx.Response:
        url = path if path.startswith("http") else f"{self.server.base_url}{path}"
        return httpx.get(url, headers=self.server.headers | headers, timeout=PATIENCE_SECONDS)

    def ended(self, what: str) -> dict[str, Any]:
        return ended(self.server, self.under_way[what])


def post(server: Server, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    body = {"prompt": "a pier", **body}
    return httpx.post(f"{server.base_url}{path}", json=body, headers=server.headers | headers, timeout=PATIENCE_SECONDS)


def image(server: Server, **headers: str) -> dict[str, Any]:
    made = post(server, "/v2/images/generations", {"model": "still"}, **headers)
    assert made.status_code == 200, made.text + server.log
    return dict(made.json())


def video(server: Server, model: str, **headers: str) -> str:
    made = post(server, "/v2/videos/generations", {"model": model, "duration": 2}, **headers)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


def ended(server: Server, generation_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        url = f"{server.base_url}/v2/videos/generations/{generation_id}?wait=10"
        found.update(httpx.get(url, headers=server.headers, timeout=PATIENCE_SECONDS).json())
        return found["status"] != "pending"

    eventually(has_ended, f"{generation_id} has ended\n{server.log}")
    return found


def delete(server: Server, made: dict[str, Any]) -> dict[str, Any]:
    """Delete its file; the receipt."""
    answer = httpx.delete(f"{server.base_url}/v2/generations/{made['id']}/media", headers=server.headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def link(made: dict[str, Any]) -> str:
    return str(made["data"][0]["url"])


def archive_one(server: Server, url: str, workspace_id: int) -> None:
    """A generation of long ago goes into a segment, which is then all that there is of it."""
    put_on_record(url, workspace_id, [Past(at=datetime.now(UTC) - timedelta(days=400))])
    with psycopg.connect(url, autocommit=True) as connection:
        (newest,) = connection.execute("select max(id) from transfers").fetchone() or (0,)

        def is_closed() -> bool:
            assert on_database(url, lambda db: check_and_record_books(OPERATOR, db)).balances
            found = connection.execute("select transfer_id from books_close").fetchone()
            return found is not None and found[0] >= newest

        eventually(is_closed, "the books are closed")
    done = safelight("archive", "run", "--data-dir", server.data_dir, env={"SAFELIGHT_ARCHIVE_AFTER": "396d"})
    assert done.returncode == 0 and "1 generations" in done.stdout, done.stdout + done.stderr


def go_on(server: Server, memories: dict[str, Memory], under_way: dict[str, str]) -> None:
    """What waited is ordered, as the jobs before it end."""
    for what in ("job", "falling"):
        job = memories["one"].job(under_way[what])
        assert job is not None
        memories["one"].end(job, "over")
    for what in ("job", "falling", "queued", "queued with a key"):
        assert ended(server, under_way[what])["status"] == "completed", what


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest.fixture(scope="module")
def story(receiver: Receiver) -> Iterator[Story]:
    with open_folder() as folder:
        (folder / "catalog.toml").write_text(catalog_text(MODELS, CONNECTIONS))
        env = {
            "SAFELIGHT_CATALOG": str(folder / "catalog.toml"),
            "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1",
            "SAFELIGHT_WORKER_CONCURRENCY": "3",
            "SAFELIGHT_SHUTDOWN": "2s",
            "SAFELIGHT_LEASE": "2s",
        }
        port = free_port()
        original = Server(folder / "original", port=port, env=env)
        with running(original):
            told = tell(original.wait_until_ready(), receiver, folder)
        said = command("restore", folder / "backups", "--data-dir", folder / "copy")
        (folder / "copy" / "chaos").symlink_to(folder / "original" / "chaos")  # the backends are the same
        receiver.status = 200
        restored = Server(folder / "copy", port=port, env=env)
        with running(restored):
            told.said, told.server = said, restored.wait_until_ready()
            yield told


def tell(server: Server, receiver: Receiver, folder: Path) -> Story:
    """What happens at the original."""
    memories = {name: Memory(folder / "original" / "chaos" / name) for name in CONNECTIONS}
    with EmbeddedPostgres(server.data_dir) as url:
        scope = on_database(url, lambda db: workspace_scope(OPERATOR, db, "default"))
        archive_one(server, url, scope.workspace_id)
        policy = OutboundPolicy.parse(["127.0.0.1"])
        on_database(url, lambda db: create_endpoint(scope, db, url=receiver.url, policy=policy))
        key = on_database(url, lambda db: create_key(scope, db, name="to be revoked"))
        receiver.status = 500
        kept, deleted = image(server, **{"Idempotency-Key": "before"}), image(server)
        eventually(lambda: len(receiver.received) >= 2, "the events were sent, and not taken")
        receipt = delete(server, image(server))
        webhook_ids = {
            each.headers["webhook-id"] for each in receiver.received if each.json["data"]["id"] == kept["id"]
        }
        under_way = {model: video(server, model) for model in ("job", "hanging", "falling")}
        eventually(lambda: all(memories["one"].taken(id_) for id_ in under_way.values()), "a backend has each")
        handles = "select count(*) from generations where handle is not null and state = 'running'"
        with psycopg.connect(url, autocommit=True) as connection:
            eventually(lambda: connection.execute(handles).fetchone() == (2,), "two handles are on record")
        under_way["queued"] = video(server, "clip")
        under_way["queued with a key"] = video(server, "clip", **{"Idempotency-Key": "waiting"})
        (folder / "backups").mkdir()
        command("backup", folder / "backups", "--data-dir", server.data_dir)
        # What the copy cannot know.
        go_on(server, memories, under_way)
        later = image(server, **{"Idempotency-Key": "after"})
        delete(server, deleted)
        assert httpx.get(link(deleted)).status_code == 410
        on_database(url, lambda db: revoke_key(scope, db, key.id))
    (archive,) = (folder / "backups").iterdir()
    return Story(
        folder=folder,
        copy=folder / "copy",
        archive=archive,
        server=server,
        memories=memories,
        kept=kept,
        deleted=deleted,
        later=later,
        receipt=receipt,
        under_way=under_way,
        webhook_ids=webhook_ids,
        revoked_key=key.secret,
        said="",
    )


def test_links_made_before_work_again_and_later_ones_do_not(story: Story) -> None:
    for made in (story.kept, story.deleted):
        assert httpx.get(link(made)).status_code == 200
    assert httpx.get(link(story.later)).status_code == 410
    assert story.get(f"/v2/images/generations/{story.later['id']}").status_code == 404
    assert story.get(f"/v2/images/generations/{story.kept['id']}").json()["data"] == story.kept["data"]


def test_receipts_are_the_same_and_signed_with_the_same_chain(story: Story) -> None:
    answer = story.get(f"/v2/generations/{story.receipt['id']}/receipt").json()
    unsigned = {name for name, value in answer.items() if value == story.receipt[name]}
    assert len(answer.keys() - unsigned) <= 1, (answer, story.receipt)
    for name in ("chain.pem", "key.pem", "root.pem"):
        original = (story.folder / "original" / "provenance" / name).read_bytes()
        assert (story.copy / "provenance" / name).read_bytes() == original


def test_a_repeat_of_before_is_replayed_and_one_of_after_is_a_new_order(story: Story) -> None:
    assert image(story.server, **{"Idempotency-Key": "before"})["id"] == story.kept["id"]
    assert image(story.server, **{"Idempotency-Key": "after"})["id"] != story.later["id"]


def test_what_waited_is_ordered_no_second_time(story: Story) -> None:
    for what in ("queued", "queued with a key"):
        answer = story.ended(what)
        assert answer["status"] == "failed"
        assert "restored from a backup" in answer["error"]["message"]
        assert story.calls(what) == {"one": 1, "two": 0}
    again = video(story.server, "clip", **{"Idempotency-Key": "waiting"})
    assert again != story.under_way["queued with a key"], "its key was freed"
    assert ended(story.server, again)["status"] == "completed"


def test_what_a_backend_has_is_asked_for_and_given_to_no_other(story: Story) -> None:
    assert story.ended("job")["status"] == "completed"
    assert story.calls("job") == {"one": 1, "two": 0}
    assert story.ended("hanging")["status"] == "completed"  # found by our id
    assert story.calls("hanging") == {"one": 1, "two": 0}
    assert story.ended("falling")["status"] == "failed"
    assert story.calls("falling") == {"one": 1, "two": 1}, "the original asked the second, and the copy did not"


def test_events_that_were_not_taken_are_sent_again_under_their_ids(story: Story, receiver: Receiver) -> None:
    delivered = "select count(*) as n from deliveries where event_id = any(%s) and state = 'delivered'"
    ids = list(story.webhook_ids)
    assert len(ids) == 1
    wake = """with due as (update deliveries set next_attempt_at = now() where state = 'pending' returning id)
              select pg_notify('deliveries', '') from due"""
    on_copy(story, wake)  # on a slow machine the original has tried more than once, and the next try is minutes away
    eventually(lambda: on_copy(story, delivered, ids) == [{"n": 1}], "they are delivered")
    ids = [each.headers["webhook-id"] for each in receiver.received]
    assert all(ids.count(id_) > 1 for id_ in story.webhook_ids)


def on_copy(story: Story, statement: str, *params: object) -> list[dict[str, Any]]:
    with (
        EmbeddedPostgres(story.copy) as url,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection,
    ):
        return connection.execute(statement.encode(), params).fetchall()


def test_who_was_let_in_or_kept_out_since(story: Story) -> None:
    answer = story.get("/v2/models", Authorization=f"Bearer {story.revoked_key}")
    assert answer.status_code == 200, "it was revoked after the backup"
    assert "API keys that were revoked since work again" in story.said
    old = "select from login_links l join audit_log a on a.action = 'backup.restore' and l.created_at < a.at"
    assert on_copy(story, old) == [], "the link of the original's start lets nobody in"
    assert "1 dashboard sessions and links have ended" in story.said


def test_the_restore_says_what_it_means(story: Story) -> None:
    for line in (
        "2 generations waited for a backend.",
        "2 generations have a job at a backend",
        "1 generations may have been given to a backend",
        "1 segments of the archive, 2 files of ",
        "The books balance.",
    ):
        assert line in story.said, story.said
    assert on_copy(story, "select target, detail from audit_log where action = 'backup.restore'") == [
        {"target": story.archive.name, "detail": {"ended": 2, "waiting": 0}}
    ]


def test_the_books_balance_afterwards(story: Story) -> None:
    for what in story.under_way:
        story.ended(what)
    said = command("books", "--archives", "--data-dir", story.copy)
    assert "The books balance." in said and "1 generations in 1 segments" in said
    assert on_copy(story, "select sum(held_nanos) as held, sum(in_flight)::int as n from accounts") == [
        {"held": 0, "n": 0}
    ]
