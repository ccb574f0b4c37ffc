"""``safelight listen`` and ``trigger``: every event handed over, signed, in its order, over whatever restarts."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.client.shell import Ran, Shell
from tests.contract.accounts import Account
from tests.money.shop import settings_environment
from tests.support.server import Server, eventually, free_port
from tests.support.tenants import make_tenant_at
from tests.webhooks.receiver import Receiver
from tests.webhooks.world import until

EVENT_ID = re.compile(r"evt_[0-9a-f]{32}")
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [a-z.]+ evt_[0-9a-f]{32}( \d{3} \d+ ms)?")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = await Receiver().open()
    yield made
    await made.close()


class Listening:
    """A listener that runs. ``err`` and ``out`` are what it wrote up to now."""

    def __init__(self, shell: Shell, *arguments: str) -> None:
        self.shell = shell
        self._files = [shell.home / f"listen-{random.getrandbits(32):x}.{name}" for name in ("out", "err")]
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.process = shell.start("listen", *arguments, stdout=out, stderr=err)

    @property
    def out(self) -> str:
        return self._files[0].read_text()

    @property
    def err(self) -> str:
        return self._files[1].read_text()

    @property
    def secret(self) -> str:
        found = re.search(r"whsec_\S+", self.err)
        assert found, self.err
        return found[0]

    async def follows(self) -> Listening:
        """Wait until it has a place in the stream: what happens from then on comes to it."""
        await until(lambda: any(self.shell.home.glob("config/safelight/listeners/*.json")) or self.has_ended)
        assert not self.has_ended, self.err
        return self

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def end(self, number: int = signal.SIGINT) -> Ran:
        if not self.has_ended:
            self.process.send_signal(number)
        status = self.process.wait(60)
        ran = Ran(subprocess.CompletedProcess([], status, self.out.encode(), self.err.encode()))
        assert "Traceback" not in ran.err and self.shell.account.key not in ran.out + ran.err, ran
        return ran


@pytest.fixture
def listen(shell: Shell) -> Any:
    """Starts listeners of ``shell`` that are killed at the end of the test."""
    started: list[Listening] = []

    def start(*arguments: str, by: Shell = shell) -> Listening:
        started.append(Listening(by, *arguments))
        return started[-1]

    yield start
    for each in started:
        if not each.has_ended:
            each.process.kill()
        each.process.wait()


def trigger(shell: Shell, type_: str = "balance.low") -> str:
    """Of a test event's id."""
    with shell.http() as http:
        answer = http.post("/v2/events", json={"type": type_})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


async def test_each_event_is_signed_handed_over_and_told_in_a_line(
    shell: Shell, listen: Any, receiver: Receiver
) -> None:
    listening = await listen("--forward-to", receiver.url).follows()
    made = await asyncio.to_thread(shell.ok, "generate", "a red boat", "-o", "boat.png")
    told = (await asyncio.to_thread(shell.ok, "trigger", "generation.failed")).out.strip()
    await until(lambda: len(listening.out.splitlines()) == 2)
    first, second = receiver.received
    assert first.json["type"] == "generation.completed" and first.json["data"]["id"] == made.id
    with shell.http() as http:
        assert first.json["data"] == http.get(f"/v2/images/generations/{made.id}").json()
    assert second.id == told
    assert first.is_signed_with(listening.secret) and second.is_signed_with(listening.secret)
    for line, event in zip(listening.out.splitlines(), receiver.received, strict=True):
        assert LINE.fullmatch(line), line
        assert line.startswith(f"{event.json['timestamp']} {event.json['type']} {event.id} 204 ")
    ran = listening.end()
    assert ran.status == 130
    files = sorted((shell.home / "config/safelight/listeners").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert files[0].parent.stat().st_mode & 0o777 == 0o700


async def test_without_a_target_it_tells_and_with_print_json_it_prints_what_a_webhook_is_sent(
    shell: Shell, listen: Any
) -> None:
    plain = await listen().follows()
    event_id = await asyncio.to_thread(trigger, shell)
    await until(lambda: event_id in plain.out)
    assert LINE.fullmatch(plain.out.strip()) and plain.out.strip().endswith(event_id)
    plain.end()
    event_id = await asyncio.to_thread(trigger, shell)
    printing = listen("--print-json")
    await until(lambda: bool(printing.out))
    assert json.loads(printing.out)["data"] == {"balance": "12.34", "currency": "USD"}
    assert event_id in printing.err


async def test_only_the_types_that_are_asked_for(shell: Shell, listen: Any) -> None:
    listening = await listen("--types", "balance.low,generation.failed").follows()
    ids = [await asyncio.to_thread(trigger, shell, type_) for type_ in ("moderation.refused", "balance.low")]
    await until(lambda: ids[1] in listening.out)
    assert ids[0] not in listening.out


async def test_a_target_that_is_down_is_tried_again_and_an_answer_is_an_answer(
    shell: Shell, listen: Any, receiver: Receiver
) -> None:
    """500 too: it has the event. Nothing is passed over, nothing overtakes."""
    port = free_port()
    listening = await listen("--forward-to", f"http://127.0.0.1:{port}/hook").follows()
    ids = [await asyncio.to_thread(trigger, shell) for _ in range(3)]
    await until(lambda: "cannot be reached" in listening.err)
    assert ids[0] in listening.err and listening.out == ""
    receiver.status = 500
    await receiver.listen_at(port)
    await until(lambda: len(listening.out.splitlines()) == 3)
    assert [event.id for event in receiver.received] == ids
    assert "answers again" in listening.err
    assert all(" 500 " in line for line in listening.out.splitlines())


async def test_killed_at_any_moment_it_goes_on_behind_what_it_handed_over(
    shell: Shell, listen: Any, receiver: Receiver
) -> None:
    """One that was posted and not noted yet comes once more, right away; nothing else does."""
    moments = random.Random(13)
    listening = await listen("--forward-to", receiver.url).follows()
    secret, ids = listening.secret, []

    async def let_things_happen() -> None:
        for _ in range(4):
            ids.append(await asyncio.to_thread(trigger, shell))

    for _ in range(6):
        so_many = len(receiver.received) + moments.randint(1, 4)
        happening = asyncio.create_task(let_things_happen())
        await until(lambda so_many=so_many: len(receiver.received) >= so_many)
        await asyncio.sleep(moments.uniform(0, 0.01))
        listening.end(signal.SIGKILL)
        listening = listen("--forward-to", receiver.url)
        await happening
    await until(lambda: bool(receiver.received) and receiver.received[-1].id == ids[-1])
    got = [event.id for event in receiver.received]
    assert list(dict.fromkeys(got)) == ids
    assert len(got) <= len(ids) + 6
    assert got == sorted(got, key=ids.index)
    assert all(event.is_signed_with(secret) for event in receiver.received), "the secret stays"


async def test_each_target_hears_of_everything_and_two_of_one_do_not_share(
    shell: Shell, listen: Any, receiver: Receiver
) -> None:
    await listen("--forward-to", receiver.url).follows()
    await until(lambda: len(list(shell.home.glob("config/safelight/listeners/*.json"))) == 1)
    listen("--forward-to", receiver.url + "/other")
    await until(lambda: len(list(shell.home.glob("config/safelight/listeners/*.json"))) == 2)
    event_id = await asyncio.to_thread(trigger, shell)
    await until(lambda: len(receiver.received) == 2)
    assert [event.id for event in receiver.received] == [event_id] * 2
    said = await asyncio.to_thread(shell.refused, 2, "listen", "--forward-to", receiver.url)
    assert "Another 'safelight listen' does the very same" in said


async def test_since_an_event_or_from_now_on(shell: Shell, listen: Any) -> None:
    listening = await listen().follows()
    ids = [await asyncio.to_thread(trigger, shell) for _ in range(3)]
    await until(lambda: ids[2] in listening.out)
    listening.end()
    again = listen("--since", ids[0])
    await until(lambda: ids[2] in again.out)
    assert EVENT_ID.findall(again.out) == ids[1:]
    again.end()
    missed = await asyncio.to_thread(trigger, shell)
    (place,) = (shell.home / "config/safelight/listeners").glob("*.json")
    before = place.read_bytes()
    now = listen("--since", "now")
    await until(lambda: place.read_bytes() != before)
    last = await asyncio.to_thread(trigger, shell)
    await until(lambda: last in now.out)
    assert missed not in now.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["listen", "--forward-to", "localhost:3000"], "Write it as http://127.0.0.1:3000/hooks."),
        (["listen", "--types", "generation.begun"], "generation.completed"),
        (["listen", "--since", "evt_" + "0" * 32], "Here that is '--since now'."),
        (["listen", "--since", "yesterday"], "is not an event's id"),
        (["trigger", "generation.begun"], "generation.completed"),
    ],
)
def test_what_is_asked_wrongly_is_refused(shell: Shell, arguments: list[str], says: str) -> None:
    ran = shell.run(*arguments)
    assert (ran.status, says in ran.err, "Listening" in ran.err) == (2, True, False), ran


def test_a_place_or_a_secret_that_is_damaged_is_refused(shell: Shell) -> None:
    folder = shell.home / "config/safelight/listeners"
    folder.mkdir(parents=True)
    (folder / "default.secret").write_text("whsec_")
    assert "holds no webhook secret. Remove it" in shell.refused(2, "listen")
    (folder / "default.secret").unlink()
    started = shell.start("listen")
    eventually(lambda: any(folder.glob("*.json")), "its place")
    started.kill()
    started.communicate()
    (place,) = folder.glob("*.json")
    place.write_text("{}")
    assert f"{place} cannot be read. Remove it" in shell.refused(2, "listen")


def test_a_trigger_that_nobody_hears_says_so(shell: Shell) -> None:
    assert "Nobody listens" in shell.refused(1, "trigger", "balance.low")
    ran = shell.run("trigger", "balance.low", "--json")
    assert (ran.status, ran.json) == (1, {"id": None, "type": "balance.low"})


def test_a_server_that_is_not_there_is_told(shell: Shell) -> None:
    shell.environment["SAFELIGHT_BASE_URL"] = f"http://127.0.0.1:{free_port()}"
    assert "cannot be reached" in shell.refused(6, "listen")


async def test_a_key_that_is_revoked_ends_it(
    make_shell: Callable[..., Shell], listen: Any, client_accounts: Any
) -> None:
    shell = make_shell(name="revoked")
    listening = await listen(by=shell).follows()
    other = client_accounts.another_key(shell.account)
    client_accounts.revoke(shell.account)
    with other.http() as http:
        while not listening.has_ended:
            http.post("/v2/events", json={"type": "balance.low"})
            await asyncio.sleep(0.1)
    assert listening.process.returncode == 2
    assert "invalid_api_key" in listening.err


async def test_the_server_is_killed_and_starts_again_while_things_happen(
    fresh_server: Callable[..., Server], fresh_database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    """Ids are compared with the table: none is missing, none came twice, all came in order."""
    environment = settings_environment(tmp_path / "node", fresh_database_url)
    tenant = await asyncio.to_thread(make_tenant_at, fresh_database_url, "one")
    server = fresh_server(command="serve", env=environment)
    await asyncio.to_thread(server.wait_until_ready)
    account = Account(base_url=server.base_url, workspace="one", key=tenant.key, key_id=tenant.key_id)
    shell = Shell(account, tmp_path / "one")
    listening = await Listening(shell, "--forward-to", receiver.url).follows()
    stop = asyncio.Event()

    async def let_things_happen() -> None:
        """By another process of the installation: it goes on while this one is away."""
        chance = random.Random(7)
        async with await psycopg.AsyncConnection.connect(fresh_database_url) as connection:
            while not stop.is_set():
                async with connection.transaction():
                    tell = "select record_event(%s, 'moderation.refused', null, '{\"category\": \"x\"}', null)"
                    await connection.execute(tell, [tenant.id])
                await asyncio.sleep(chance.uniform(0, 0.2))

    happening = asyncio.create_task(let_things_happen())
    try:
        for restart in range(3):
            before = len(receiver.received)
            await until(lambda before=before: len(receiver.received) > before + 5)
            await asyncio.to_thread(server.kill_everything)
            server = fresh_server(command="serve", env=environment, port=server.port, data_dir=server.data_dir)
            await asyncio.to_thread(server.wait_until_ready)
            made = await asyncio.to_thread(shell.ok, "generate", f"{restart}", "--model", "still")
            await until(lambda made=made: made.id in [each.json["data"].get("id") for each in receiver.received])
    finally:
        stop.set()
        await happening
    async with await psycopg.AsyncConnection.connect(fresh_database_url) as connection:
        cursor = await connection.execute("select event_id from followed_events where number > 1 order by number")
        told = [row[0] for row in await cursor.fetchall()]
    await until(lambda: len(receiver.received) >= len(told))
    ran = listening.end()
    assert [event.id for event in receiver.received] == told
    assert EVENT_ID.findall(ran.out) == told
    assert "Trying again" in ran.err
