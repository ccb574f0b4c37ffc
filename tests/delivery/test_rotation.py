"""Keys of download links change while links are in use."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path

import httpx

from tests.delivery.house import VECTORS, House
from tests.support.server import eventually, safelight


def test_every_key_verifies_and_the_newest_signs(house: House) -> None:
    """The server has three keys, k1 the newest."""
    planted = house.plant(b"under three keys")
    exp = int(planted.url.partition("exp=")[2][:10])
    for name, secret in VECTORS["keys"].items():
        assert house.get(house.link(planted.id, 0, exp, keys=f"{name}:{secret}")).status_code == 200
    unknown = f"k1:{hashlib.sha256(b'another').hexdigest()}"
    assert house.get(house.link(planted.id, 0, exp, keys=unknown)).status_code == 403
    made = house.image()
    given = made["data"][0]["url"]
    newest = f"k1:{VECTORS['keys']['k1']}"
    assert given == house.link(made["id"], 0, int(given.partition("exp=")[2][:10]), keys=newest)


def test_commands_and_a_hangup_change_keys_of_a_running_server(house: House) -> None:
    with house.beside({"SAFELIGHT_SIGNING_KEYS": ""}) as running:
        file = running.server.data_dir / "signing-keys"
        (old,) = ids_in(file)
        made_first = path_of(running.image()["data"][0]["url"])
        change_keys(running, "add")
        (new,) = set(ids_in(file)) - {old}
        eventually(lambda: status(running, link_by(running, new, made_first)) == 200, "the new key verifies")
        assert running.get(made_first).status_code == 200
        made_later = path_of(running.image()["data"][0]["url"])
        change_keys(running, "retire", old)
        eventually(lambda: status(running, made_first) == 403, "the retired key is refused")
        assert running.get(made_later).status_code == 200


def change_keys(house: House, *arguments: str) -> None:
    done = safelight("signing-keys", *arguments, "--data-dir", house.server.data_dir)
    assert done.returncode == 0, done.stderr
    house.server.process.send_signal(signal.SIGHUP)


def ids_in(file: Path) -> list[str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return [line.partition(":")[0] for line in lines]


def link_by(house: House, key_id: str, path: str) -> str:
    """The same link, made by another key of the data folder."""
    text = next(
        line
        for line in (house.server.data_dir / "signing-keys").read_text().splitlines()
        if line.startswith(f"{key_id}:")
    )
    generation_id, exp = path.split("/")[3], int(path.partition("exp=")[2][:10])
    return path_of(house.link(generation_id, 0, exp, keys=text))


def status(house: House, path: str) -> int:
    """0 while its processes change over."""
    try:
        return house.get(path).status_code
    except httpx.HTTPError:
        return 0


def path_of(url: str) -> str:
    return "/v2/" + url.partition("/v2/")[2]
