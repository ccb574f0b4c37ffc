"""What processes counted, added up: nothing is lost with a process, and nothing is counted twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from safelight.node.processes import this_machine
from safelight.telemetry import gathering, snapshots
from safelight.telemetry.gathering import Gatherer, Values
from safelight.telemetry.snapshots import Sample, Writer, read_snapshot, write_word

HELD = "safelight_money_nanos_total"
IN_FLIGHT = "safelight_http_in_flight"


def samples(held: float, in_flight: float = 0) -> list[Sample]:
    return [(HELD, (("movement", "held"),), held), (IN_FLIGHT, (), in_flight), ("of_another_release_total", (), 1.0)]


def writer(folder: Path, held: float, in_flight: float = 0) -> Writer:
    made = Writer(folder)
    made.open()
    made.write(samples(held, in_flight))
    return made


def gatherer(folder: Path) -> Gatherer:
    made = Gatherer(folder)
    assert made.acquire()
    return made


def held(values: Values) -> float:
    return values[HELD, (("movement", "held"),)]


def test_counters_of_the_dead_stay_and_their_gauges_go(tmp_path: Path) -> None:
    first, second = writer(tmp_path, 5, in_flight=2), writer(tmp_path, 7, in_flight=3)
    node = gatherer(tmp_path)
    assert (held(node.values()), node.values()[IN_FLIGHT, ()]) == (12, 5)
    first.write(samples(6, 2))
    first.close()
    node.look()
    assert (held(node.values()), node.values()[IN_FLIGHT, ()]) == (13, 3)
    assert len(list(tmp_path.glob("*.process"))) == 1, "the file of the dead is removed"
    second.close()
    node.look()
    assert held(node.values()) == 13
    node.release()
    assert held(gatherer(tmp_path).values()) == 13, "another gatherer goes on from there"


def test_what_another_release_counted_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = writer(tmp_path, 5)
    assert ("of_another_release_total", ()) not in gatherer(tmp_path).values()
    monkeypatch.setattr(snapshots, "__version__", "9.9.9")
    assert read_snapshot(next(tmp_path.glob("*.process"))) == (1, None)
    alive.close()


@pytest.mark.parametrize("dies_after", ["the sum is on record", "the file is gone"])
def test_a_gatherer_that_is_killed_while_it_adds_up_adds_once(
    dies_after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer(tmp_path, 5).close()
    alive = writer(tmp_path, 1)

    def dies(path: Path, *, missing_ok: bool = False) -> None:
        if dies_after == "the file is gone":
            os.unlink(path)  # noqa: PTH108
        os._exit(9)

    def look() -> None:
        monkeypatch.setattr(gathering.Path, "unlink", dies)
        gatherer(tmp_path).look()

    process = multiprocessing.get_context("fork").Process(target=look)
    process.start()
    process.join()
    assert process.exitcode == 9
    node = gatherer(tmp_path)
    assert held(node.values()) == 6
    node.look()
    assert held(node.values()) == 6
    assert len(list(tmp_path.glob("*.process"))) == 1
    alive.close()


def test_a_word_that_breaks_off_leaves_the_one_before(tmp_path: Path) -> None:
    alive = writer(tmp_path, 5)
    alive.write(samples(6))
    path = next(tmp_path.glob("*.process"))
    with path.open("r+b") as file:
        write_word(file.fileno(), 3, snapshots.msgspec.msgpack.encode(snapshots.Snapshot(samples(7))))
        assert held(gathering._by_series(_samples(path))) == 7
        file.seek(snapshots._PLACE_BYTES + 40)
        file.write(b"broken off")
    assert held(gathering._by_series(_samples(path))) == 6
    alive.close()


def _samples(path: Path) -> list[Sample]:
    snapshot = read_snapshot(path)[1]
    assert snapshot is not None
    return snapshot.samples


def test_what_was_read_once_is_not_gone_back_from(tmp_path: Path) -> None:
    alive = writer(tmp_path, 5)
    node = gatherer(tmp_path)
    assert held(node.values()) == 5
    path = next(tmp_path.glob("*.process"))
    path.write_bytes(b"\xff" * 64)
    assert held(node.values()) == 5
    alive.close()
    node.look()
    assert held(node.values()) == 5


def test_one_gathers_and_the_next_takes_over(tmp_path: Path) -> None:
    first, second = gatherer(tmp_path), Gatherer(tmp_path)
    assert not second.acquire()
    first.release()
    assert second.acquire()


def test_a_killed_process_leaves_what_it_wrote(tmp_path: Path) -> None:
    def work() -> None:
        writer(tmp_path, 5)
        signal.pause()

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    node = gatherer(tmp_path)
    while not node.values():
        time.sleep(0.01)
    node.look()
    assert len(list(tmp_path.glob("*.process"))) == 1, "it lives"
    process.kill()
    process.join()
    node.look()
    assert held(node.values()) == 5
    assert not list(tmp_path.glob("*.process"))


def test_a_full_disk_costs_nothing_but_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer(tmp_path, 5).close()
    node = gatherer(tmp_path)

    def full(descriptor: int, count: int, word: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(gathering, "write_word", full)
        node.look()
        assert held(node.values()) == 5
        assert len(list(tmp_path.glob("*.process"))) == 1, "it is not on record yet"
        node.look()
        assert held(node.values()) == 5
    node.look()
    assert held(node.values()) == 5
    assert not list(tmp_path.glob("*.process"))


def test_what_is_no_file_of_a_process_is_in_nobodys_way(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{this_machine()}.{number}.process").mkdir()
    (tmp_path / f"{this_machine()}.3.process").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / f"{this_machine()}.4.process")
    (tmp_path / f"{this_machine()}.5.process").write_bytes(os.urandom(100_000))
    for counted in (5, 7):
        writer(tmp_path, counted).close()
    alive = writer(tmp_path, 1)
    node = gatherer(tmp_path)
    assert held(node.values()) == 13
    with capture_logs() as told:
        for _ in range(2):
            node.look()
            assert held(node.values()) == 13
    assert len(told) == 4, "each is told of once"
    assert not (tmp_path / "elsewhere").exists()
    alive.close()


def test_what_roots_command_counts_is_the_nodes(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("for root alone")
    os.chown(tmp_path, 1234, 1235)
    writer(tmp_path / "metrics", 5).close()
    (file,) = (tmp_path / "metrics").iterdir()
    assert {(each.stat().st_uid, each.stat().st_gid) for each in (file, file.parent)} == {(1234, 1235)}


def test_files_of_others_are_forgotten_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / "elsewhere.0.process", tmp_path / "elsewhere.1.process"
    mine = tmp_path / f"{this_machine()}.note"
    for path in (old, new, mine):
        path.touch()
    for path in (old, mine):
        os.utime(path, (1, 1))
    gatherer(tmp_path).look()
    assert not old.exists()
    assert new.exists() and mine.exists()
