"""From a URL to a store. The settings that are not in the URL come from the usual environment variables.

``file:///abs/path``
``s3://bucket/prefix``
    query parameters: ``endpoint``, ``region``, ``access_key_id``, ``secret_access_key``, ``session_token``,
    ``path_style``, ``allow_http``;
    environment: ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ... and instance credentials
``gs://bucket/prefix``
    query parameters: ``service_account`` (a path), ``base_url``, ``allow_http``;
    environment: ``GOOGLE_APPLICATION_CREDENTIALS``, ``GOOGLE_SERVICE_ACCOUNT``
``az://container/prefix``
    query parameters: ``account``, ``account_key``, ``sas_token``, ``endpoint``, ``use_emulator``, ``allow_http``;
    environment: ``AZURE_STORAGE_ACCOUNT_NAME``, ``AZURE_STORAGE_ACCOUNT_KEY``

``path_style=false`` puts the bucket into the host name; an ``endpoint`` must then hold it already.
``allow_http`` permits an endpoint without TLS.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from safelight.blobs.checks import check_prefix
from safelight.blobs.local import LocalStore
from safelight.blobs.remote import Bucket, RemoteStore
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import BlobStore

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig, S3Config

_RETRIES: Final[RetryConfig] = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
_PARAMETERS: Final = {
    "file": (),
    "s3": (
        "endpoint",
        "region",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "path_style",
        "allow_http",
    ),
    "gs": ("service_account", "base_url", "allow_http"),
    "az": ("account", "account_key", "sas_token", "endpoint", "use_emulator", "allow_http"),
}
_SECRETS: Final = (
    "access_key_id",
    "secret_access_key",
    "session_token",
    "account_key",
    "sas_token",
)
_SECRET_ENVIRONMENT: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GOOGLE_BEARER_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_CLIENT_SECRET",
)

Parameters = dict[str, str]


def open_store(url: str) -> BlobStore:
    """The store at ``url``; nothing is read or written yet (``probe`` does).

    Remote requests are repeated at most 5 times within 60 s, and stall for at most 60 s each. Raises
    ``ConfigurationError`` with the remedy and without the URL's credentials.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        extra = parts.username is not None or parts.port is not None or parts.fragment
    except ValueError:
        raise ConfigurationError("The media store's URL is not a URL. Write it as file:///srv/media.") from None
    if parts.scheme not in _PARAMETERS or extra:
        raise ConfigurationError(
            "The media store's URL is none of file:///path, s3://bucket/prefix, gs://bucket/prefix and "
            "az://container/prefix. Give endpoints and keys as query parameters or in the environment."
        )
    parameters = _checked(parts.scheme, query)
    if parts.scheme == "file":
        return _open_folder(parts)
    return _open_bucket(parts, parameters)


def _checked(scheme: str, query: list[tuple[str, str]]) -> Parameters:
    known = _PARAMETERS[scheme]
    for name, _ in query:
        if name not in known:
            remedy = f"It takes {', '.join(known)}." if known else "It takes none."
            raise ConfigurationError(f"A {scheme}:// URL has no parameter '{name}'. {remedy}")
    if len(dict(query)) != len(query):
        raise ConfigurationError("The media store's URL has a parameter twice. Give each once.")
    return dict(query)


def _open_folder(parts: SplitResult) -> BlobStore:
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise ConfigurationError("A file:// URL needs an absolute path: file:///srv/media, with three slashes.")
    return LocalStore(Path(path))


def _open_bucket(parts: SplitResult, parameters: Parameters) -> BlobStore:
    make = _MAKERS[parts.scheme]
    try:
        prefix = check_prefix(unquote(parts.path).strip("/"))
    except ValueError:
        raise ConfigurationError(
            "The path of the media store's URL may hold letters, digits and . _ = + @ - between its slashes."
        ) from None
    if not parts.netloc:
        raise ConfigurationError(f"The media store's URL names no bucket. Write it as {parts.scheme}://bucket.")
    try:
        bucket = make(parts.netloc, prefix or None, parameters)
    except (BaseError, ValueError, TypeError) as error:
        reason = str(error).split("\n", 1)[0]
        for secret in _hidden(parameters):
            reason = reason.replace(secret, "***")
        raise ConfigurationError(f"The media store cannot be opened: {reason}") from None
    return RemoteStore(bucket, hidden=_hidden(parameters))


def _open_s3(name: str, prefix: str | None, parameters: Parameters) -> Bucket:
    config: S3Config = {}
    for key in ("endpoint", "region", "access_key_id", "secret_access_key", "session_token"):
        if key in parameters:
            config[key] = parameters[key]
    if "path_style" in parameters:
        config["virtual_hosted_style_request"] = not _flag("path_style", parameters["path_style"])
    endpoint = parameters.get("endpoint") or _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    client = _client(parameters, endpoint, "AWS_ALLOW_HTTP")
    return S3Store(name, prefix=prefix, config=config, client_options=client, retry_config=_RETRIES)


def _open_gs(name: str, prefix: str | None, parameters: Parameters) -> Bucket:
    config: GCSConfig = {}
    for key in ("service_account", "base_url"):
        if key in parameters:
            config[key] = parameters[key]
    endpoint = parameters.get("base_url") or _environment("GOOGLE_BASE_URL")
    client = _client(parameters, endpoint, "GOOGLE_ALLOW_HTTP")
    return GCSStore(name, prefix=prefix, config=config, client_options=client, retry_config=_RETRIES)


def _open_az(name: str, prefix: str | None, parameters: Parameters) -> Bucket:
    config: AzureConfig = {}
    renamed = {"account": "account_name", "sas_token": "sas_key"}
    for key in ("account", "account_key", "sas_token", "endpoint"):
        if key in parameters:
            config[renamed.get(key, key)] = parameters[key]  # type: ignore[literal-required]
    if "use_emulator" in parameters:
        config["use_emulator"] = _flag("use_emulator", parameters["use_emulator"])
    endpoint = parameters.get("endpoint") or _environment("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    client = _client(parameters, endpoint, "AZURE_ALLOW_HTTP")
    return AzureStore(name, prefix=prefix, config=config, client_options=client, retry_config=_RETRIES)


_MAKERS: Final[dict[str, Callable[[str, str | None, Parameters], Bucket]]] = {
    "s3": _open_s3,
    "gs": _open_gs,
    "az": _open_az,
}


def _client(parameters: Parameters, endpoint: str, allow_http_variable: str) -> ClientConfig:
    given = parameters.get("allow_http") or _environment(allow_http_variable)
    allow_http = bool(given) and _flag("allow_http", given)
    if endpoint.startswith("http://") and not allow_http:
        raise ConfigurationError(
            "The object store's endpoint is plain http. Use https, or permit it on a trusted network with "
            f"allow_http=true in the URL or {allow_http_variable}=true."
        )
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=5),
        # Per read, not per request: a large object may take as long as its reader likes.
        "read_timeout": timedelta(seconds=60),
        "timeout": timedelta(hours=1),
    }


def _flag(name: str, text: str) -> bool:
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise ConfigurationError(f"The media store's '{name}' is neither true nor false.")


def _environment(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _hidden(parameters: Parameters) -> tuple[str, ...]:
    """Every credential that an error text could repeat."""
    given = [parameters.get(name, "") for name in _SECRETS]
    given += [os.environ.get(name, "") for name in _SECRET_ENVIRONMENT]
    return tuple(value for value in given if value)
