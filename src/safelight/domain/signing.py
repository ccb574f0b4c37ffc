"""Signed download links: who holds one may fetch that file until it expires, and nothing else.

A link is ``{public_url}/v2/downloads/{id}/{index}[/{variant}]?exp={exp}&sig={sig}``. ``exp`` is the Unix
second at which it stops working. ``sig`` is the lower-case hex HMAC-SHA256 (RFC 2104, FIPS 180-4) of the
ASCII text ::

    safelight-download-v1 LF id LF index LF variant LF exp

with an empty ``variant`` for the file itself. No field can hold a line feed, so two links never share a
text. The host is not signed: a deployment may change its name without breaking the links it gave out.

A backend is given an address of its own for each order, where it may tell that something happened:
``{public_url}/v2/hints/{connection}/{job}?exp={exp}&sig={sig}``, signed likewise over ::

    safelight-hint-v1 LF connection LF job LF exp

Several keys may be in use. The newest signs; each of them verifies, so a link outlives a change of keys
until its key is removed. In text, for the ``SAFELIGHT_SIGNING_KEYS`` setting and for a key file, a key is
``id:hex`` or ``id:hex:creation-time``; keys are separated by commas or line ends, the newest first, and
``#`` starts a comment::

    # made by safelight signing-keys add
    k2:9f2c...41:2026-05-02T12:30:00Z
    k1:07aa...e0
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_plus, urlsplit

import msgspec

from safelight.domain.errors import ConfigurationError, DownloadExpired, InvalidSignature

MIN_SECRET_BYTES: Final = 32
"""Shorter than the hash's output weakens the MAC (RFC 2104, section 3)."""

REFERENCE: Final = "reference"
"""The variant of a link that leads to a reference image, by its index."""

_VERSION: Final = "safelight-download-v1"
_HINT_VERSION: Final = "safelight-hint-v1"
_MIN_DISTINCT_BYTES: Final = 8  # 32 random bytes have about 30; a placeholder such as 00...00 has one or two
_MAX_INDEX: Final = 9999

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_GENERATION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VARIANT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_CONNECTION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_JOB_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EXP = re.compile(r"[1-9][0-9]{9}")
_SIG = re.compile(r"[0-9a-f]{64}")
_TIME_EXAMPLE: Final = "2026-05-02T12:30:00Z"
_REMEDY: Final = "Make a key with 'safelight signing-keys add'."


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key: ``secret`` is at least 32 random bytes; ``created_at`` is None where it was not recorded.

    Raises ``ConfigurationError`` where the id or the secret cannot serve.
    """

    id: str
    secret: bytes
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.id):
            raise ConfigurationError(
                "A signing key's id is 1 to 32 letters, digits, '-' or '_'. Write each key as 'id:hex'."
            )
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"Signing key '{self.id}' has {len(self.secret)} bytes; it needs {MIN_SECRET_BYTES} or more. " + _REMEDY
            )
        if len(set(self.secret)) < _MIN_DISTINCT_BYTES:
            raise ConfigurationError(f"Signing key '{self.id}' is not random: its bytes repeat. {_REMEDY}")
        if self.created_at is not None and self.created_at.tzinfo is None:
            raise ConfigurationError(
                f"The creation time of signing key '{self.id}' has no time zone. Write it as {_TIME_EXAMPLE}."
            )

    def __repr__(self) -> str:
        """The secret stays out of logs and tracebacks."""
        return f"SigningKey(id={self.id!r}, created_at={self.created_at!r})"


def generate_signing_key(key_id: str, created_at: datetime) -> SigningKey:
    """A new key of 32 random bytes. Raises ``ConfigurationError`` for an id that cannot serve."""
    return SigningKey(id=key_id, secret=secrets.token_bytes(MIN_SECRET_BYTES), created_at=created_at)


def parse_signing_keys(text: str) -> tuple[SigningKey, ...]:
    """Read keys from their text form, the newest first.

    Raises ``ConfigurationError``, with the remedy and without any secret, for an empty list, an entry that
    is not a key, and an id or a secret that comes twice.
    """
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
    if not entries:
        raise ConfigurationError(f"There is no signing key. {_REMEDY}")
    keys = tuple(_parse_entry(entry, place) for place, entry in enumerate(entries, start=1))
    _check_distinct(keys)
    return keys


def format_signing_keys(keys: tuple[SigningKey, ...]) -> str:
    """Text that ``parse_signing_keys`` reads back: one key a line, in the order given."""
    return "".join(f"{_format_entry(key)}\n" for key in keys)


class LinkSigner:
    """Makes and checks download links, and the addresses that backends are given.

    ``keys`` has the newest first. ``public_url`` is the absolute http or https address that clients reach
    this service at, with an optional path and nothing after it. Raises ``ConfigurationError`` where either
    cannot serve.
    """

    def __init__(self, keys: tuple[SigningKey, ...], public_url: str) -> None:
        if not keys:
            raise ConfigurationError(f"There is no signing key. {_REMEDY}")
        _check_distinct(keys)
        self._macs = tuple(hmac.new(key.secret, digestmod="sha256") for key in keys)
        self._base = f"{_checked_base(public_url)}/v2"

    def url(self, generation_id: str, index: int, exp: int, variant: str | None = None) -> str:
        """The signed link to one file, good until the Unix second ``exp``.

        ``variant`` names a derived file, such as ``thumbnail``. Raises ``ValueError`` for what no link can
        name.
        """
        message = _message(generation_id, index, str(exp), variant)
        if message is None or not _EXP.fullmatch(str(exp)):
            raise ValueError(f"no link can name {generation_id!r}, {index!r}, {variant!r} until {exp!r}")
        signature = self._signature(message)
        path = f"{generation_id}/{index}" if variant is None else f"{generation_id}/{index}/{variant}"
        return f"{self._base}/downloads/{path}?exp={exp}&sig={signature}"

    def check(
        self, generation_id: str, index: int, raw_query: bytes | str, now: float, variant: str | None = None
    ) -> None:
        """Check a link's query, exactly as it came on the wire, at the Unix time ``now`` in seconds.

        Asks nothing but the keys, so the answer is the same whether or not the file exists. Raises
        ``InvalidSignature`` unless ``exp`` and ``sig`` are there once each and a key made that ``sig``; then
        ``DownloadExpired`` if ``now >= exp``. Other parameters are not signed and change nothing: whoever passes a
        link on may have added them.
        """
        exp, sig = _exp_and_sig(raw_query.decode("latin-1") if isinstance(raw_query, bytes) else raw_query)
        message = _message(generation_id, index, exp, variant)
        if message is None or not self._made(message, bytes.fromhex(sig)):
            raise InvalidSignature
        if now >= int(exp):
            raise DownloadExpired

    def hint_url(self, connection: str, job_id: str, exp: int) -> str:
        """The signed address at which a backend may tell of a job, until the Unix second ``exp``.

        Raises ``ValueError`` for what no address can name.
        """
        message = _hint_message(connection, job_id, str(exp))
        if message is None or not _EXP.fullmatch(str(exp)):
            raise ValueError(f"no address can name {connection!r}, {job_id!r} until {exp!r}")
        return f"{self._base}/hints/{connection}/{job_id}?exp={exp}&sig={self._signature(message)}"

    def check_hint(self, connection: str, job_id: str, raw_query: bytes, now: float) -> None:
        """Check the query of such an address, as ``check`` does a link's. Raises ``InvalidSignature``, and no more."""
        exp, sig = _exp_and_sig(raw_query.decode("latin-1"))
        message = _hint_message(connection, job_id, exp)
        if message is None or not self._made(message, bytes.fromhex(sig)) or now >= int(exp):
            raise InvalidSignature

    def _signature(self, message: bytes) -> str:
        return _mac(self._macs[0], message).hex()

    def _made(self, message: bytes, given: bytes) -> bool:
        """Whether any key made ``given``. All are tried each time, so the time taken tells nothing."""
        made = False
        for keyed in self._macs:
            made |= hmac.compare_digest(_mac(keyed, message), given)
        return made


def _mac(keyed: hmac.HMAC, message: bytes) -> bytes:
    """The MAC of a message. ``keyed`` has hashed its key and no message yet, so a copy spares that each time."""
    mac = keyed.copy()
    mac.update(message)
    return mac.digest()


def _exp_and_sig(query: str) -> tuple[str, str]:
    """The two parameters that make a link. Raises ``InvalidSignature`` unless each is there once, in its one spelling.

    Names are compared decoded: what another reader of the query takes for a second ``exp`` is one.
    """
    given: dict[str, list[str]] = {"exp": [], "sig": []}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        plain = unquote_plus(name)
        if plain in given:
            given[plain].append(value if name == plain else "")
    match given["exp"], given["sig"]:
        case [exp], [sig] if _EXP.fullmatch(exp) and _SIG.fullmatch(sig):
            return exp, sig
    raise InvalidSignature


def _message(generation_id: str, index: int, exp: str, variant: str | None) -> bytes | None:
    """What is signed; None where a field could not be in any link."""
    if not 0 <= index <= _MAX_INDEX or not _GENERATION_ID.fullmatch(generation_id):
        return None
    if variant is not None and not _VARIANT.fullmatch(variant):
        return None
    return f"{_VERSION}\n{generation_id}\n{index}\n{variant or ''}\n{exp}".encode()


def _hint_message(connection: str, job_id: str, exp: str) -> bytes | None:
    """As ``_message``, of a hint."""
    if not _CONNECTION.fullmatch(connection) or not _JOB_ID.fullmatch(job_id):
        return None
    return f"{_HINT_VERSION}\n{connection}\n{job_id}\n{exp}".encode()


def _parse_entry(entry: str, place: int) -> SigningKey:
    key_id, _, rest = entry.partition(":")
    secret_hex, _, created = rest.partition(":")
    if not secret_hex:
        raise ConfigurationError(f"Signing key number {place} is not written as 'id:hex'. {_REMEDY}")
    if not _KEY_ID.fullmatch(key_id):
        raise ConfigurationError(
            f"The id of signing key number {place} is not 1 to 32 letters, digits, '-' or '_'. Write it as 'id:hex'."
        )
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", secret_hex):
        raise ConfigurationError(f"Signing key '{key_id}' is not an even number of hex digits. {_REMEDY}")
    return SigningKey(id=key_id, secret=bytes.fromhex(secret_hex), created_at=_parse_time(key_id, created))


def _parse_time(key_id: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigurationError(
            f"The creation time of signing key '{key_id}' is not a time. Write it as {_TIME_EXAMPLE}, or leave it out."
        )
    return moment.astimezone(UTC)


def _format_entry(key: SigningKey) -> str:
    if key.created_at is None:
        return f"{key.id}:{key.secret.hex()}"
    created = key.created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{key.id}:{key.secret.hex()}:{created}"


def _check_distinct(keys: tuple[SigningKey, ...]) -> None:
    ids: set[str] = set()
    id_of_secret: dict[bytes, str] = {}
    for key in keys:
        if key.id in ids:
            raise ConfigurationError(f"Two signing keys have the id '{key.id}'. Give each its own id.")
        if key.secret in id_of_secret:
            twin = id_of_secret[key.secret]
            raise ConfigurationError(f"Signing keys '{twin}' and '{key.id}' are the same key. {_REMEDY}")
        ids.add(key.id)
        id_of_secret[key.secret] = key.id


def _checked_base(public_url: str) -> str:
    try:
        parts = urlsplit(public_url)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or re.search(r"[\s?#@\x00-\x1f]", public_url):
        raise ConfigurationError(
            f"The public URL {public_url!r} is not an absolute http or https address without a query. "
            "Write it as https://media.example.com."
        )
    return public_url.rstrip("/")
