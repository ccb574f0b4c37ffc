"""Whom to call and with which key: profiles in the user's own configuration, and what the environment says instead.

``~/.config/safelight/config.toml`` (below ``XDG_CONFIG_HOME`` where that is set), which only its owner reads:

    [profiles.default]
    base_url = "http://127.0.0.1:8484"
    key = "sk_..."
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from safelight.cli.client.exits import Misuse
from safelight.node.data_folder import write_closed

DEFAULT_PROFILE = "default"
DEFAULT_BASE_URL = "http://127.0.0.1:8484"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One server and the key for it. ``base_url`` has no slash at its end."""

    name: str
    base_url: str
    key: str

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, {self.base_url!r})"  # without the key

    @property
    def is_local(self) -> bool:
        return urlsplit(self.base_url).hostname in _LOOPBACK

    @property
    def is_plain(self) -> bool:
        """Whether the key would travel for others to read."""
        return not self.is_local and urlsplit(self.base_url).scheme == "http"


def config_file() -> Path:
    return _home("XDG_CONFIG_HOME", ".config") / "config.toml"


def state_folder() -> Path:
    return _home("XDG_STATE_HOME", ".local/state")


def find_profile(name: str | None = None) -> Profile:
    """The profile of that name, or of ``SAFELIGHT_PROFILE``, or the default one, as the environment changes it.

    Raises ``Misuse`` with the remedy where there is no such profile, or no key.
    """
    wanted, kept = profile_name(name), read_profiles()
    found = kept.get(wanted)
    url, key = os.environ.get("SAFELIGHT_BASE_URL", "").strip(), os.environ.get("SAFELIGHT_API_KEY", "").strip()
    if found is None and wanted != DEFAULT_PROFILE and not (url and key):
        known = f" There are: {', '.join(sorted(kept))}." if kept else ""
        raise Misuse(f"There is no profile {wanted!r}.{known} 'safelight login --profile {wanted}' makes it.")
    base_url = checked_url(url or (found.base_url if found else DEFAULT_BASE_URL))
    if not key and found and found.base_url == base_url:  # a key is for its own server
        key = found.key
    profile = Profile(name=wanted, base_url=base_url, key=key)
    if not key and profile.is_local:
        profile = msgspec.structs.replace(profile, key=_key_of_data_folder())
    if not profile.key:
        raise Misuse(
            f"There is no API key for {base_url}: 'safelight login' keeps one; SAFELIGHT_API_KEY gives one; and beside "
            "the data folder of 'safelight up' its key is found there."
        )
    return msgspec.structs.replace(profile, key=checked_key(profile.key))


def profile_name(name: str | None) -> str:
    """The name that counts. Raises ``Misuse`` for what is none."""
    wanted = name or os.environ.get("SAFELIGHT_PROFILE", "").strip() or DEFAULT_PROFILE
    if not _NAME.fullmatch(wanted):
        raise Misuse(f"{wanted!r} is no name of a profile. Use up to 64 letters, digits, '-' and '_'.")
    return wanted


def read_profiles() -> dict[str, Profile]:
    """What is kept, by name; nothing where there is no file. Raises ``Misuse`` where it cannot be read."""
    path = config_file()
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Misuse(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:  # its text may hold a key, so it is not repeated
        raise Misuse(f"{path} is not TOML. Mend it, or remove it and run 'safelight login'.") from None
    profiles = content.get("profiles", {})
    if set(content) - {"profiles"} or not isinstance(profiles, dict):
        raise Misuse(f"{path} has something other than [profiles.NAME]. Take it out.")
    return {name: _read(path, name, fields) for name, fields in profiles.items()}


def keep_profile(profile: Profile) -> Path:
    """Keep it, in place of one of the same name; the file."""
    return _write({**read_profiles(), profile.name: profile})


def forget_profile(name: str) -> bool:
    """Forget it. False: there is none."""
    kept = read_profiles()
    if kept.pop(name, None) is None:
        return False
    _write(kept)
    return True


def checked_url(text: str) -> str:
    """A base URL without the slash at its end. Raises ``Misuse``."""
    parts = None
    if _VISIBLE.fullmatch(text):
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Misuse(f"{text!r} is no address of a server. Write it as https://media.example.com.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Misuse("The server's address has a user, a query or a fragment. Leave them out.")
    return text.rstrip("/")


def checked_key(text: str) -> str:
    """A key that can be sent. Raises ``Misuse``, without the key."""
    if not _VISIBLE.fullmatch(text):
        raise Misuse("The API key has blanks or other characters that no key has. Copy it once more.")
    return text


def prepare_folder(folder: Path) -> None:
    """Make it where it is missing, closed to others. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def _home(variable: str, usual: str) -> Path:
    given = os.environ.get(variable, "")
    base = Path(given) if given.startswith("/") else Path.home() / usual  # a relative one is void by XDG's rules
    return base / "safelight"


def _read(path: Path, name: str, fields: Any) -> Profile:
    is_right = isinstance(fields, dict) and set(fields) == {"base_url", "key"}
    if not is_right or not all(isinstance(value, str) for value in fields.values()):
        raise Misuse(f"[profiles.{name}] in {path} has a base_url and a key, both as text, and nothing else.")
    return Profile(name=name, base_url=checked_url(fields["base_url"]), key=fields["key"])


def _write(profiles: dict[str, Profile]) -> Path:
    path = config_file()
    text = "# Written by 'safelight login' and 'safelight logout'. It holds keys: keep it to yourself.\n"
    for name, profile in sorted(profiles.items()):
        url, key = (json.dumps(value) for value in (profile.base_url, profile.key))  # ASCII: the same in TOML
        text += f"\n[profiles.{name}]\nbase_url = {url}\nkey = {key}\n"
    try:
        prepare_folder(path.parent)
        write_closed(path, text)
    except OSError as error:
        raise Misuse(f"{error.filename or path} cannot be written: {error.strerror}.") from None
    return path


def _key_of_data_folder() -> str:
    """The key that ``safelight up`` made, where its data folder is at hand."""
    path = Path(os.environ.get("SAFELIGHT_DATA_DIR", "").strip() or "data") / "api-key"
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
