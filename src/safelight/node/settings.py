"""Settings: the environment over ``safelight.toml`` over defaults, read once and frozen.

Each field of ``Settings`` is the setting ``SAFELIGHT_<NAME>`` in the environment and ``<name>`` in the file. The
table in docs/operating.md is tested against this module.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.errors import ConfigurationError

PREFIX = "SAFELIGHT_"
_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)", re.ASCII)
Dollars = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?$")]
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. Durations are seconds here, and ``30s``, ``5m``, ``12h``, ``7d`` outside."""

    data_dir: Annotated[Path, Meta(description="Folder for the embedded database, media, keys and certificates.")] = (
        Path("data")
    )
    database_url: Annotated[
        str | None,
        Meta(description="PostgreSQL 15 or newer; without it an embedded one runs in the data folder."),
    ] = None
    database_pool_size: Annotated[int, Meta(ge=1, le=200, description="Most database connections of one process.")] = 10
    media_url: Annotated[
        str | None,
        Meta(
            description="Where media is kept: `file:///path`, `s3://bucket/prefix`, `gs://...`, `az://...`; without "
            "it, `media/` in the data folder."
        ),
    ] = None
    public_url: Annotated[
        str | None,
        Meta(description="The address that download links begin with; without it, the host and port."),
    ] = None
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on.")] = 8484
    workers: Annotated[int, Meta(ge=1, le=64, description="API processes.")] = 1
    signing_keys: Annotated[
        str | None,
        Meta(description="Download link keys, newest first: `id:hex,...`; without it, from the data folder."),
    ] = None
    catalog: Annotated[Path | None, Meta(description="Catalog file in TOML; without it, the one that ships.")] = None
    retention_seconds: Annotated[
        int, Meta(ge=60, description="How long media is kept after it is made.", extra={"name": "retention"})
    ] = 7 * 86400
    retention_max_seconds: Annotated[
        int,
        Meta(ge=60, description="The longest retention that a request may ask for.", extra={"name": "retention_max"}),
    ] = 90 * 86400
    provenance: Annotated[
        Literal["on", "off"], Meta(description="Whether each file is signed with a C2PA manifest.")
    ] = "on"
    provenance_dir: Annotated[
        Path | None,
        Meta(
            description="Folder with `chain.pem`, `key.pem` and `root.pem`; without it, `provenance/` in the data "
            "folder, made on first start."
        ),
    ] = None
    provenance_prompt: Annotated[
        Literal["on", "off"], Meta(description="Whether the manifest tells the prompt to everyone who gets the file.")
    ] = "off"
    references_allow: Annotated[
        str | None,
        Meta(
            description="Hosts, `host:port`s or networks, with commas, that reference images and webhooks may also "
            "reach: for development, and for your own networks."
        ),
    ] = None
    moderation: Annotated[
        Literal["off", "blocklist", "endpoint"], Meta(description="What checks prompts and pictures before a hold.")
    ] = "off"
    moderation_blocklist: Annotated[Path | None, Meta(description="The blocklist's file, in TOML.")] = None
    moderation_url: Annotated[str, Meta(description="Base URL of a service that speaks OpenAI's `/moderations`.")] = (
        "https://api.openai.com/v1"
    )
    moderation_key: Annotated[str | None, Meta(description="That service's API key.")] = None
    moderation_model: Annotated[str, Meta(description="That service's model.")] = "omni-moderation-latest"
    accel_prefix: Annotated[
        str | None,
        Meta(description="Internal nginx location over the media folder; downloads then answer `X-Accel-Redirect`."),
    ] = None
    download_redirect: Annotated[
        Literal["on", "off"],
        Meta(description="Whether downloads from an object store redirect to it. Plain clients do not follow."),
    ] = "off"
    image_rpm: Annotated[
        int, Meta(ge=1, description="Image generations a minute, for a workspace without a limit of its own.")
    ] = 600
    video_rpm: Annotated[
        int, Meta(ge=1, description="Video generations a minute, for a workspace without a limit of its own.")
    ] = 120
    concurrency: Annotated[
        int,
        Meta(ge=1, description="Generations under way at once, for a workspace without a limit of its own."),
    ] = 100
    address_concurrency: Annotated[
        int, Meta(ge=1, description="Requests that one client address may have open in one API process.")
    ] = 500
    address_refusals: Annotated[
        int, Meta(ge=1, description="Wrong API keys that one client address may send a minute to one API process.")
    ] = 300
    image_deadline_seconds: Annotated[
        int,
        Meta(ge=1, description="How long an image may take before it fails.", extra={"name": "image_deadline"}),
    ] = 280
    video_deadline_seconds: Annotated[
        int,
        Meta(ge=1, description="How long a video may take before it fails.", extra={"name": "video_deadline"}),
    ] = 3600
    lease_seconds: Annotated[
        int, Meta(ge=2, description="How long a silent runner keeps a generation.", extra={"name": "lease"})
    ] = 30
    render_processes: Annotated[
        int,
        Meta(ge=1, le=64, description="Processes of the built-in renderer, in each API process and worker."),
    ] = 1
    worker_concurrency: Annotated[
        int, Meta(ge=1, description="Videos that one worker has under way on remote backends at once.")
    ] = 2500
    low_balance: Annotated[
        Dollars | None,
        Meta(description="Dollars: a balance that falls below them is told to webhooks. Without it, none is."),
    ] = None
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$", description="Least severe log line.")] = (
        "info"
    )
    log_format: Annotated[str, Meta(pattern="^(console|json)$", description="How log lines are written.")] = "console"
    shutdown_seconds: Annotated[
        int, Meta(ge=1, description="Grace for work under way at a stop.", extra={"name": "shutdown"})
    ] = 8

    @property
    def media_store_url(self) -> str:
        return self.media_url or (self.data_dir / "media").absolute().as_uri()

    @property
    def provenance_folder(self) -> Path:
        return self.provenance_dir or self.data_dir / "provenance"

    @property
    def base_url(self) -> str:
        """What absolute links begin with, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104  (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{self.port}"


def setting_names() -> dict[str, msgspec.inspect.Field]:
    """Outside name -> field: ``retention`` -> the field ``retention_seconds``."""
    info = msgspec.inspect.type_info(Settings)
    assert isinstance(info, msgspec.inspect.StructType)
    return {_outside_name(field): field for field in info.fields}


def _outside_name(field: msgspec.inspect.Field) -> str:
    extra = field.type.extra if isinstance(field.type, msgspec.inspect.Metadata) else None
    return str((extra or {}).get("name", field.name))


def load_settings(environ: Mapping[str, str] | None = None, *, file: Path | None = None, **overrides: Any) -> Settings:
    """The settings. ``overrides`` are command-line options by field name; None means not given.

    The file is ``SAFELIGHT_CONFIG``, or ``safelight.toml`` in the working folder where there is one. Raises
    ``ConfigurationError`` naming the setting and the remedy.
    """
    environ = os.environ if environ is None else environ
    names = setting_names()
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    path = file or Path(environ.get(f"{PREFIX}CONFIG", "safelight.toml"))
    explicit = file is not None or f"{PREFIX}CONFIG" in environ
    for name, value in _read_file(path, required=explicit).items():
        if name not in names:
            raise ConfigurationError(f"{path}: there is no setting {name!r}. docs/operating.md lists them all.")
        values[names[name].name], where[names[name].name] = value, f"{path}: {name}"
    for name, field in names.items():
        variable = PREFIX + name.upper()
        if environ.get(variable):
            values[field.name], where[field.name] = environ[variable], variable
    for key, value in overrides.items():
        if value is not None:
            values[key], where[key] = value, f"--{key.replace('_', '-')}"
    return _convert(values, where)


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        if required:
            raise ConfigurationError(f"There is no settings file {path}.") from None
        return {}
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigurationError(f"{path}: {error}. Correct the file and start again.") from None


def _convert(values: dict[str, Any], where: dict[str, str]) -> Settings:
    prepared = {
        key: _seconds(value, where[key]) if key.endswith("_seconds") else value for key, value in values.items()
    }
    for key, value in prepared.items():
        try:
            msgspec.convert({key: value}, Settings, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            what = str(error).partition(" - at ")[0]
            raise ConfigurationError(f"{where[key]}: {what}. Correct it and start again.") from None
    return msgspec.convert(prepared, Settings, strict=False, dec_hook=_decode)


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    raise NotImplementedError


def _seconds(value: Any, where: str) -> int:
    if isinstance(value, int):
        return value
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ConfigurationError(f"{where}: {value!r} is not a duration. Write it as 30s, 5m, 12h or 7d.")
    return int(match[1]) * _UNIT_SECONDS[match[2]]
