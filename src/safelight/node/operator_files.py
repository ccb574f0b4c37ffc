"""Text files that people write: in UTF-8, with or without a byte order mark, with line ends of any kind."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from safelight.domain.errors import ConfigurationError


def read_text(path: Path) -> str:
    """What it says, without a byte order mark, each line ending in a line feed.

    Raises ``FileNotFoundError`` as it is, and ``ConfigurationError`` where it cannot be read or is no text.
    """
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: it is a folder. Name a file.") from None
    except OSError as error:
        remedy = "Let this user read it" if isinstance(error, PermissionError) else "Correct its path"
        raise ConfigurationError(f"{path}: {error.strerror}. {remedy}.") from None
    except ValueError:  # not UTF-8, or no path at all
        raise ConfigurationError(f"{path}: it is not UTF-8 text. Save it as UTF-8.") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The TOML document in it. Raises as ``read_text`` does, and ``ConfigurationError`` where it is no TOML."""
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}. Correct the file and start again.") from None


def without_mark(content: bytes) -> bytes:
    """A file's bytes without a byte order mark in front."""
    return content.removeprefix(codecs.BOM_UTF8)
