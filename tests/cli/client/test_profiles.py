"""Whom to call: the file, the environment over it, and keys that are shown nowhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from safelight.cli.client import profiles
from safelight.cli.client.exits import Misuse
from safelight.cli.client.profiles import Profile, find_profile, forget_profile, keep_profile, read_profiles
from safelight.node.settings import load_settings

KEY = "sk_" + "x" * 49
WORK = Profile(name="work", base_url="https://media.example.com", key=KEY)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("SAFELIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_found_and_only_its_owner_reads_it(home: Path) -> None:
    os.umask(os.umask(0))
    path = keep_profile(WORK)
    assert path == home / "config/safelight/config.toml"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    keep_profile(Profile(name="default", base_url="http://127.0.0.1:9", key="sk_other"))
    assert find_profile("work") == WORK
    assert find_profile().base_url == "http://127.0.0.1:9"
    assert list(path.parent.iterdir()) == [path], "nothing half-written is left"
    assert forget_profile("work") and not forget_profile("work")
    assert set(read_profiles()) == {"default"}


def test_a_folder_that_was_open_is_closed(home: Path) -> None:
    (home / "config/safelight").mkdir(parents=True, mode=0o755)
    assert mode(keep_profile(WORK).parent) == 0o700


def test_without_xdg_it_is_below_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert profiles.config_file() == home / ".config/safelight/config.toml"


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_profile(WORK)
    monkeypatch.setenv("SAFELIGHT_PROFILE", "work")
    assert find_profile() == WORK
    monkeypatch.setenv("SAFELIGHT_BASE_URL", "https://other.example.com/")
    with pytest.raises(Misuse, match="no API key for https://other"):
        find_profile()  # a key is for its own server
    monkeypatch.setenv("SAFELIGHT_API_KEY", "sk_else")
    found = find_profile()
    assert (found.base_url, found.key) == ("https://other.example.com", "sk_else")
    assert find_profile("unheard-of").key == "sk_else", "all of it is given"


def test_the_key_beside_a_data_folder_goes_to_this_machine_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "data").mkdir()
    (home / "data/api-key").write_text("sk_made\n")
    assert find_profile() == Profile(name="default", base_url="http://127.0.0.1:8484", key="sk_made")
    monkeypatch.setenv("SAFELIGHT_BASE_URL", "https://media.example.com")
    with pytest.raises(Misuse, match="no API key"):
        find_profile()


@pytest.mark.parametrize(
    "text",
    [
        "profiles = 3",
        "[profiles]\nwork = 3",
        "[profiles.work]\nbase_url = 'https://x'",
        "[profiles.work]\nbase_url = 'https://x'\nkey = 3",
        "[profiles.work]\nbase_url = 'https://x'\nkey = 'sk_secret'\nkeys = 'x'",
        "[profiles.work]\nbase_url = 'ftp://x'\nkey = 'sk_secret'",
        "[profiles.work]\nbase_url = 'https://x'\nkey = 'sk_secret\nx'",
        "[other]\nkey = 'sk_secret'",
        "\xff",
    ],
)
def test_a_file_that_is_wrong_is_told_without_its_key(home: Path, text: str) -> None:
    path = profiles.config_file()
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(Misuse) as refused:
        find_profile("work")
    assert "sk_secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["x", "ftp://x", "http://", "http://[", "http://u:p@x", "https://x?y", "http://x:y", "h ttp://x"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Misuse):
        profiles.checked_url(url)


def test_a_key_is_shown_nowhere() -> None:
    assert KEY not in repr(WORK) + str(WORK)
    with pytest.raises(Misuse) as refused:
        profiles.checked_key(f"{KEY}\n")
    assert KEY not in str(refused.value)


def test_a_server_takes_no_offence_at_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROFILE", "BASE_URL", "API_KEY"):
        monkeypatch.setenv(f"SAFELIGHT_{name}", "x")
    load_settings()
