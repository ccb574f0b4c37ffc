"""Access tokens for Vertex: got with a service account's key (RFC 7523), a user's consent (RFC 6749, section 6), or
from the metadata server of a machine of Google's, and renewed before they end.

The vendor's own library would bring a second HTTP client, with rules of its own about what may be reached.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Answer, Failed, FailureClass
from safelight.outbound.client import Answer as HttpAnswer
from safelight.outbound.client import GuardedClient
from safelight.outbound.loose_json import is_count, object_in
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  (an address)

_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 3600
_RENEWED_BEFORE_SECONDS = 300.0
_LONGEST_SECONDS = 86_400.0
_SHORTEST_SECONDS = 60.0
"""Of a token that does not say how long it is good."""
_DEADLINE_SECONDS = 15.0
_MAX_BYTES = 64 * 1024
_MAX_TOKEN = 16 * 1024
_SECRET_SECONDS = 3600.0
"""So long at least a token is a secret: it may be good for longer than was told, and an order under way with it."""
_MOST_SECRET = 32
_MOST_PROVEN = 4
_PASSING = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Token(msgspec.Struct, frozen=True):
    """Another is asked for from ``renewed_at`` on, of the monotonic clock, and this one is good until ``ends_at``."""

    value: str
    renewed_at: float
    ends_at: float


class Grant(Protocol):
    """A way to get a token."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What it is got with."""

    async def ask(self) -> HttpAnswer:
        """One request for a token, of any status. Raises ``OutboundRefused``."""

    async def close(self) -> None: ...


class AccessTokens:
    """The current token of one connection. One is asked for at a time, however many need it."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._proven: deque[str] = deque(maxlen=_MOST_PROVEN)
        self._asked = 0
        self._failure: Failed | None = None
        self._secret_until: dict[str, float] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self._grant.secrets, *self._secret_until)

    async def get(self) -> str | Failed:
        """A token that is good for minutes, or why there is none. Nobody has been given an order meanwhile."""
        if (token := self._token) is not None and time.monotonic() < token.renewed_at:
            return token.value
        asked = self._asked
        async with self._lock:
            if asked == self._asked:
                self._failure = await self._renewed()
                self._asked += 1
        if (token := self._token) is not None and time.monotonic() < token.ends_at:
            return token.value
        return self._failure or Failed(FailureClass.TRANSIENT, "the access token ended as it came")

    def accepted(self, value: str) -> None:
        """The API took it."""
        if value not in self._proven:
            self._proven.append(value)

    def refused(self, value: str) -> bool:
        """The API does not take it: another is asked for next. Whether it took it before, so that another may do.

        Many orders may be under way with a token that ends: each of them is told so.
        """
        if self._token is not None and self._token.value == value:
            self._token = None
        return value in self._proven

    async def close(self) -> None:
        await self._grant.close()

    async def _renewed(self) -> Failed | None:
        began = time.monotonic()
        try:
            answer = await self._grant.ask()
        except OutboundRefused as refused:
            return Failed(FailureClass.TRANSIENT, f"no access token: {refused}")
        body = _object(answer.body)
        value = body.get("access_token")
        if answer.status != 200 or not _is_token(value):
            return _failure(answer, body)
        assert isinstance(value, str)
        lasts = body.get("expires_in")
        seconds = min(float(lasts), _LONGEST_SECONDS) if is_count(lasts) and lasts else _SHORTEST_SECONDS
        before = min(_RENEWED_BEFORE_SECONDS, seconds / 2)
        self._token = Token(value, began + seconds - before, began + seconds)
        self._keep_secret(value, began, began + max(seconds, _SECRET_SECONDS))
        if value in self._proven:  # a metadata server gives the same one for a while, and it may have been refused
            self._proven.remove(value)
        return None

    def _keep_secret(self, value: str, now: float, until: float) -> None:
        kept = {each: ends_at for each, ends_at in self._secret_until.items() if ends_at > now and each != value}
        self._secret_until = dict([*kept.items(), (value, until)][-_MOST_SECRET:])


class ServiceAccount:
    """A service account's key: a statement signed with it is exchanged for a token. Raises ``ConfigurationError``."""

    def __init__(self, account: Mapping[str, Any], policy: OutboundPolicy) -> None:
        self._email = _field(account, "client_email")
        self._key_id = account.get("private_key_id")
        pem = _field(account, "private_key")
        self._key = _rsa_key(pem)
        self._uri = _token_uri(account, policy)
        self._client = GuardedClient(policy)
        self._pem = pem
        self._assertion = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self._pem, self._assertion)))

    async def ask(self) -> HttpAnswer:
        self._assertion = self.assertion(int(time.time()))
        form = urlencode({"grant_type": _JWT_GRANT, "assertion": self._assertion}).encode()
        return await _post(self._client, self._uri, form)

    def assertion(self, now: int) -> str:
        """The statement (RFC 7519, RFC 7515) that it is made at this time, in seconds since 1970."""
        header = {"alg": "RS256", "typ": "JWT"} | ({"kid": self._key_id} if isinstance(self._key_id, str) else {})
        claims = {"iss": self._email, "scope": SCOPE, "aud": self._uri, "iat": now, "exp": now + _ASSERTION_SECONDS}
        signed = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, claims))
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return b".".join((signed, _base64url(signature))).decode()

    async def close(self) -> None:
        await self._client.close()


class AuthorizedUser:
    """A user's consent, as ``gcloud auth application-default login`` leaves it. Raises ``ConfigurationError``."""

    def __init__(self, consent: Mapping[str, Any], policy: OutboundPolicy) -> None:
        self._form = {
            "grant_type": "refresh_token",
            **{name: _field(consent, name) for name in ("client_id", "client_secret", "refresh_token")},
        }
        self._uri = _token_uri(consent, policy)
        self._client = GuardedClient(policy)

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._form["client_secret"], self._form["refresh_token"]

    async def ask(self) -> HttpAnswer:
        return await _post(self._client, self._uri, urlencode(self._form).encode())

    async def close(self) -> None:
        await self._client.close()


class MetadataServer:
    """A machine of Google's, or a pod with a workload identity. It alone is reached there, as it is on no public
    address."""

    secrets: tuple[str, ...] = ()

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._url = f"{url}{_METADATA_PATH}"
        self._client = GuardedClient(OutboundPolicy.parse([f"{host}:{port}"], setting="metadata_url"))

    async def ask(self) -> HttpAnswer:
        answer = await self._client.get(
            self._url,
            max_bytes=_MAX_BYTES,
            deadline_seconds=_DEADLINE_SECONDS,
            headers={"Metadata-Flavor": "Google"},
            max_redirects=0,
        )
        if answer.headers.get("metadata-flavor") != "Google":
            raise OutboundRefused("broken_answer", "it is no metadata server of Google's")
        return answer

    async def close(self) -> None:
        await self._client.close()


def grant_of(credentials: str, policy: OutboundPolicy) -> tuple[Grant, str | None]:
    """What the JSON of credentials is good for, and the project that requests count for, if it names one.

    Its ``token_uri`` has HTTPS, or an address that the connection opens. Raises ``ConfigurationError``.
    """
    document = _object(credentials.encode())
    match document.get("type"):
        case "service_account":
            return ServiceAccount(document, policy), None
        case "authorized_user":
            project = document.get("quota_project_id")
            return AuthorizedUser(document, policy), project if isinstance(project, str) and project else None
        case _:
            raise ConfigurationError(
                'credentials: they are not the JSON of a service account or an authorized user ("type"). '
                "Others, such as a workload identity's, have a metadata server: set metadata_url."
            )


async def _post(client: GuardedClient, url: str, form: bytes) -> HttpAnswer:
    return await client.send("POST", url, form, headers=_FORM, deadline_seconds=_DEADLINE_SECONDS, max_bytes=_MAX_BYTES)


def _failure(answer: HttpAnswer, body: Mapping[str, Any]) -> Failed:
    error, why = body.get("error"), body.get("error_description")
    code = error[:100] if isinstance(error, str) else None
    said = Answer(status=answer.status, code=code, words=why[:1000] if isinstance(why, str) else None)
    if answer.status in (408, 429) or answer.status >= 500 or code in _PASSING:
        return Failed(FailureClass.TRANSIENT, "no access token for now", answer=said)
    return Failed(FailureClass.AUTH, "no access token: look at the connection's credentials", answer=said)


def _is_token(value: object) -> bool:
    """Whether it can stand in a header."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_TOKEN and value.isascii() and value.isprintable()


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return object_in(document)


def _field(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"credentials: there is no {name} in them. Download them anew.")
    return value


def _rsa_key(pem: str) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError("credentials: private_key is no PEM key. Download them anew.") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigurationError("credentials: private_key is no RSA key. Download them anew.")
    return key


def _token_uri(document: Mapping[str, Any], policy: OutboundPolicy) -> str:
    uri = document.get("token_uri", TOKEN_URI)
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except (ValueError, TypeError, AttributeError):
        host, port, parts = None, 0, urlsplit("")
    if host and (parts.scheme == "https" or (parts.scheme == "http" and policy.allows_plain(host, port))):
        return str(uri)
    raise ConfigurationError("credentials: token_uri is no https:// address. Download them anew.")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
