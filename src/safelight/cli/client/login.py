"""Profiles kept and forgotten."""

from __future__ import annotations

import asyncio
import getpass
import sys

from safelight.cli.client.connection import Connection
from safelight.cli.client.exits import Misuse
from safelight.cli.client.output import guarded, note, result
from safelight.cli.client.profiles import (
    DEFAULT_BASE_URL,
    Profile,
    checked_key,
    checked_url,
    forget_profile,
    keep_profile,
    profile_name,
    read_profiles,
)


def login(base_url: str | None, profile: str | None) -> int:
    """Ask for a key, see that it works, and keep it; the exit status."""
    return guarded(lambda: _login(base_url, profile))


def logout(profile: str | None) -> int:
    """Forget a profile; the exit status."""
    return guarded(lambda: _logout(profile))


def _login(base_url: str | None, name: str | None) -> None:
    wanted = profile_name(name)
    kept = read_profiles().get(wanted)
    url = checked_url(base_url or (kept.base_url if kept else DEFAULT_BASE_URL))
    key = _ask_key(url)
    if not key:
        raise Misuse("No key was given. 'safelight keys create' makes one on the server's machine.")
    profile = Profile(name=wanted, base_url=url, key=checked_key(key))
    if profile.is_plain:
        note(f"{url} is not HTTPS: whoever is on the way can read the key.")
    asyncio.run(_try(profile))
    result(f"Profile {wanted!r} is kept in {keep_profile(profile)}.")


async def _try(profile: Profile) -> None:
    async with Connection(profile) as connection:
        await connection.get("/v2/billing/balance")


def _logout(name: str | None) -> None:
    wanted = profile_name(name)
    if not forget_profile(wanted):
        raise Misuse(f"There is no profile {wanted!r}.")
    result(f"Profile {wanted!r} is forgotten. Its key still works: 'safelight keys revoke' ends one.")


def _ask_key(url: str) -> str:
    """From a prompt that shows nothing of it, or the first line of what is piped in."""
    if sys.stdin.isatty():
        return getpass.getpass(f"API key for {url}: ", stream=sys.stderr).strip()
    return sys.stdin.readline().strip()
