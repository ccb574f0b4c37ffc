"""Where files go: names with places to fill in, looked at before anything is ordered."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from safelight.cli.client.answers import Type
from safelight.cli.client.exits import CommandFailed, Misuse

_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
_VIDEO = ".mp4"
_PLACE = re.compile(r"\{(id|n|ext)\}")
_BY_ID = "{id}.{ext}"
_ROOM_BYTES: dict[Type, int] = {"image": 32 << 20, "video": 64 << 20}
"""More than most files take."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A file's name, in which ``{id}``, ``{n}`` and ``{ext}`` are to be filled in; an existing one is kept unless
    ``force``."""

    template: str
    force: bool = False

    @property
    def type(self) -> Type | None:
        """What the name says of its content."""
        suffix = self.suffix
        return "video" if suffix == _VIDEO else "image" if suffix in _FORMATS else None

    @property
    def format(self) -> str | None:
        return _FORMATS.get(self.suffix)

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.template)[1].lower()  # noqa: PTH122 - it is no path yet

    @property
    def absolute(self) -> str:
        """The template as it is from any working folder."""
        return os.path.abspath(self.template)  # noqa: PTH100 - links stay as they are

    def path(self, generation_id: str, number: int, extension: str) -> Path:
        """The file of the generation that is the ``number``-th, from 1."""
        places = {"id": generation_id, "n": str(number), "ext": extension}
        return Path(_PLACE.sub(lambda found: places[found[1]], self.template))

    def check(self, type_: Type, count: int) -> None:
        """See that what is to be made can be kept. Raises ``Misuse`` or ``CommandFailed`` with the remedy."""
        if not self.force and "{id}" not in self.template:
            for number in range(1, count + 1):
                self._check_new(self.path("", number, "png" if type_ == "image" else "mp4"))
        folder = self.path("req", 1, "x").parent
        if "{" in str(Path(self.template).parent):
            folder = Path(_PLACE.split(self.template)[0]).parent
        make_room(folder, _ROOM_BYTES[type_])

    def _check_new(self, path: Path) -> None:
        if path.is_dir() or path.exists():
            raise Misuse(f"{path} is there already. Choose another name, or replace it with --force.")


def target_of(output: str | None, *, count: int, force: bool) -> Target:
    """What ``-o`` says; without it, a file in the working folder that is called by the generation's id.

    Several files have a number each where the name has none.
    """
    template = _BY_ID if output is None else output
    if not template or "\0" in template:
        raise Misuse("The name of the file is empty. Give one with -o, or leave -o out.")
    if template.endswith("/") or Path(template).is_dir():
        template = str(Path(template) / _BY_ID)
    if count > 1 and not {"id", "n"} & set(_PLACE.findall(template)):
        stem, suffix = os.path.splitext(template)  # noqa: PTH122 - as above
        template = f"{stem}-{{n}}{suffix}"
    return Target(template=template, force=force)


def make_room(folder: Path, size_bytes: int) -> None:
    """See that the folder takes a file of that size; it is made where it is missing. Raises ``CommandFailed``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file, _but(errno.EOPNOTSUPP, errno.EINVAL):
            if hasattr(os, "posix_fallocate"):  # macOS has none
                os.posix_fallocate(file.fileno(), 0, size_bytes)
    except OSError as error:
        raise CommandFailed(f"{explained(error, folder)} Nothing was ordered.") from None


def explained(error: OSError, place: Path) -> str:
    """Why a file cannot be written, as a sentence."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"There is no room left for a file in {place}."
        case errno.EFBIG:
            return f"A file in {place} may not be as large as that."
        case _:
            return f"{place} cannot be written: {error.strerror or error}."


@contextlib.contextmanager
def _but(*numbers: int) -> Iterator[None]:
    """Pass over errors of these numbers: of file systems that reserve nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise
