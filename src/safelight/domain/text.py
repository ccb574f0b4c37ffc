"""How others' words are read and repeated: short, fit to be sent or printed, and without what is secret."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable

import msgspec

from safelight.domain.errors import InvalidParameter

BLANKS = (
    # Control characters, spaces, and letters, marks and signs that are made to show nothing: Unicode's White_Space and
    # Default_Ignorable_Code_Point (DerivedCoreProperties), and the blank braille pattern.
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What does not show, as the inside of a regular expression's character class that JSON Schema reads as well."""

_VISIBLE = re.compile(f"[^{BLANKS}\ud800-\udfff]")
# What moves the cursor, starts a terminal's commands, breaks the line, or turns the direction of the text around.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_LONGEST = 80
_LEAST_CODED = 8  # fewer digits of base64 turn up by chance
_LEAST_BEGUN = 12  # many secrets begin alike: sk-proj-
_MOST_WHOLE = 256
_ALSO = {"+": ("-",), "/": ("\\/", "_")}


def listed(words: Iterable[object], most: int) -> str:
    """So many of the first words, each cut if it is long, with a comma between them, and dots if there are more."""
    shown = [str(word)[:_LONGEST] for word in words]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


def quoted(value: object) -> str:
    """A value as an error message may show it: in quotes if it is text, cut if it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}..."
    return cut(str(value))


def cut(text: str) -> str:
    """Text without lone surrogates, cut if it is long."""
    plain = text.encode("utf-8", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."


def is_blank(text: str) -> bool:
    """Whether nothing of a text shows: it is empty, or spaces, control characters and the like."""
    return _VISIBLE.search(text) is None


def read_line(text: str, param: str, *, most: int) -> str:
    """A text that is kept, and shown to people later: one line that shows. Raises ``InvalidParameter``."""
    if is_blank(text) or len(text) > most:
        raise InvalidParameter(f"{param} has 1 to {most} characters, and not only blanks.", param=param)
    if found := _UNPRINTABLE.search(text):
        raise InvalidParameter(f"{param} has the control character {_escaped(found)}. Leave it out.", param=param)
    return text


def printable(text: str) -> str:
    """Text as a terminal may show it: what would command it, or turn a line around, is written as an escape."""
    return _UNPRINTABLE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """As ``printable``, of a text that has several lines."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Text in which each secret is ``***``: as it is, and as it stands in a URL, in JSON or in base64.

    So is a beginning of one that tells it, as others cut what they repeat.
    """
    for secret in filter(None, secrets):
        for spelling in _spellings(secret):
            text = text.replace(spelling.plain, "***")  # one in which others' signs stand is read in one way below
            text = _without(text, spelling)
    return text


class _Spelling(msgspec.Struct, frozen=True):
    """One way to write a secret: as it is or in base64, each of its characters in any of theirs.

    ``whole`` is left out of a long one, such as a token or a key file: to compile it would take seconds.
    """

    plain: str
    whole: re.Pattern[str] | None
    begun: re.Pattern[str]
    rest: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def _spellings(secret: str) -> tuple[_Spelling, ...]:
    spellings = []
    for plain in (secret, *_in_base64(secret)):
        characters = [_written(character) for character in plain]
        begun = re.compile("".join(characters[:_LEAST_BEGUN]))
        rest = tuple(characters[_LEAST_BEGUN:])
        whole = re.compile("".join(characters)) if len(characters) <= _MOST_WHOLE else None
        spellings.append(_Spelling(plain, whole, begun, rest))
    return tuple(spellings)


def _without(text: str, spelling: _Spelling) -> str:
    if spelling.whole is not None:
        text = spelling.whole.sub("***", text)
    pieces, at = [], 0
    while spelling.rest and (found := spelling.begun.search(text, at)):
        end = found.end()
        for character in spelling.rest:
            if (more := re.compile(character).match(text, end)) is None:
                break
            end = more.end()
        pieces += [text[at : found.start()], "***"]
        at = end
    return "".join([*pieces, text[at:]])


@functools.lru_cache(maxsize=1024)
def _written(character: str) -> str:
    """A pattern of one character as it is, in base64 for URLs, in JSON, and in a URL."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    in_json = "".join(rf"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    in_url = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    plain = [json.dumps(character, ensure_ascii=False)[1:-1], *_ALSO.get(character, ()), character]
    return f"(?>(?i:{in_json}|{in_url})|{'|'.join(map(re.escape, plain))})"


def _in_base64(secret: str) -> list[str]:
    """What a secret becomes depends on where it begins; its ends share digits with what stands beside it, and are left
    out."""
    coded = []
    for offset in range(3):
        digits = base64.b64encode(b"." * offset + secret.encode()).decode().rstrip("=")
        inner = digits[offset and offset + 1 : len(secret.encode() + b"." * offset) // 3 * 4]
        if len(inner) >= _LEAST_CODED:
            coded.append(inner)
    return coded


def first_bytes(text: str, most: int) -> str:
    """The beginning of a text that fits in so many bytes of UTF-8, without half a character, NUL or lone surrogates."""
    plain = text.replace("\0", "").encode("utf-8", "replace")
    return plain[:most].decode("utf-8", "ignore")
