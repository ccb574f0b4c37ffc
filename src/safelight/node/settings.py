"""Settings: the environment over ``safelight.toml`` over defaults, read once and frozen.

Each field of ``Settings`` is the setting ``SAFELIGHT_<NAME>`` in the environment and ``<name>`` in the file.
docs/reference/settings.md has them all, made from this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.errors import ConfigurationError
from safelight.domain.numbers import number_within
from safelight.node import variables
from safelight.node.hosts import read_host
from safelight.node.operator_files import read_text, read_toml
from safelight.node.variables import CONFIG, PREFIX

__all__ = ["EVERY_ADDRESS", "PREFIX", "Settings", "ignored_variables", "load_settings", "setting_names"]

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)", re.ASCII)
Dollars = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,9})?\Z")]
_LONGEST_SECONDS = 100 * 365 * 86400  # links and the database know times as far ahead
_EVENTS_SECONDS = 31 * 86400  # events and deliveries are kept for 30 days, idempotency keys for one
_MOST = 1_000_000_000  # what the database counts in
RenderProcesses = Annotated[int, Meta(ge=1, le=64)]
Location = Annotated[str, Meta(pattern=r"^/[!-~]*\Z")]
Address = Annotated[str, Meta(pattern=r"^([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}\Z")]
Secret = Annotated[str, Meta(pattern=r"^[!-~]+\Z", extra={"is_secret": True})]
SigningKeys = Annotated[str, Meta(extra={"is_secret": True})]
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared, not bound)
"""Hosts to listen on that are every address of this machine; and the one among them that leads here from here."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. Durations are seconds here, and ``30s``, ``5m``, ``12h``, ``7d`` outside."""

    data_dir: Annotated[Path, Meta(description="Folder for the embedded database, media, keys and certificates.")] = (
        Path("data")
    )
    database_url: Annotated[
        str | None,
        Meta(description="PostgreSQL 15 or newer; without it an embedded one runs in the data folder."),
    ] = None
    database_pool_size: Annotated[int, Meta(ge=2, le=200, description="Most database connections of one process.")] = 10
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
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8484
    workers: Annotated[int, Meta(ge=1, le=64, description="API processes.")] = 1
    signing_keys: Annotated[
        SigningKeys | None,
        Meta(description="Download link keys, newest first: `id:hex,...`; without it, from the data folder."),
    ] = None
    catalog: Annotated[Path | None, Meta(description="Catalog file in TOML; without it, the one that ships.")] = None
    retention_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=_LONGEST_SECONDS,
            description="How long media is kept after it is made.",
            extra={"name": "retention"},
        ),
    ] = 7 * 86400
    retention_max_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=_LONGEST_SECONDS,
            description="The longest retention that a request may ask for.",
            extra={"name": "retention_max"},
        ),
    ] = 90 * 86400
    archive_after_seconds: Annotated[
        Annotated[int, Meta(ge=60, le=_LONGEST_SECONDS)] | None,
        Meta(
            description="How long generations that have ended stay in the database, before they move into the archive "
            "in the media store; without it, for ever (docs/scale.md).",
            examples=["400d"],
            extra={"name": "archive_after"},
        ),
    ] = None
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
    moderation_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://([a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[!-~]*)?\Z",
            examples=["https://api.openai.com/v1"],
            description="Base URL of a service that speaks OpenAI's `/moderations`.",
        ),
    ] = "https://api.openai.com/v1"
    moderation_key: Annotated[Secret | None, Meta(description="That service's API key.", examples=["sk-abc123"])] = None
    moderation_model: Annotated[str, Meta(description="That service's model.")] = "omni-moderation-latest"
    accel_prefix: Annotated[
        Location | None,
        Meta(
            description="Internal nginx location over the media folder; downloads then answer `X-Accel-Redirect`.",
            examples=["/media-files"],
        ),
    ] = None
    download_redirect: Annotated[
        Literal["on", "off"],
        Meta(description="Whether downloads from an object store redirect to it. Plain clients do not follow."),
    ] = "off"
    openai_sizes: Annotated[
        Literal["nearest", "exact"],
        Meta(
            description="What OpenAI's dialect makes of a size that the model does not list: the nearest that it does, "
            "or an error that lists them."
        ),
    ] = "nearest"
    dashboard: Annotated[Literal["on", "off"], Meta(description="Whether `/dashboard` serves the dashboard.")] = "on"
    dashboard_trusted_header: Annotated[
        str | None,
        Meta(
            description="The request header in which a proxy of `SAFELIGHT_PROXIES` names who is signed in, instead of "
            "the dashboard's own way in."
        ),
    ] = None
    dashboard_people: Annotated[
        Path | None, Meta(description="TOML file of what each of those people may do (docs/dashboard.md).")
    ] = None
    mcp: Annotated[
        Literal["on", "off"], Meta(description="Whether `/mcp` serves MCP. Needs the extra `mcp`, and its memory.")
    ] = "off"
    image_rpm: Annotated[
        int, Meta(ge=1, le=_MOST, description="Image generations a minute, for a workspace without a limit of its own.")
    ] = 600
    video_rpm: Annotated[
        int, Meta(ge=1, le=_MOST, description="Video generations a minute, for a workspace without a limit of its own.")
    ] = 120
    concurrency: Annotated[
        int,
        Meta(ge=1, le=_MOST, description="Generations under way at once, for a workspace without a limit of its own."),
    ] = 100
    address_concurrency: Annotated[
        int, Meta(ge=1, le=_MOST, description="Requests that one client address may have open in one API process.")
    ] = 500
    key_waits: Annotated[
        int,
        Meta(
            ge=1,
            le=_MOST,
            description="Event streams, polls with `wait`, repeats and bodies on their way that one API key may have "
            "open in one API process; a workspace has twice as many.",
        ),
    ] = 200
    proxies: Annotated[
        str | None,
        Meta(
            description="Addresses or networks, with commas, of the proxies in front: a request from there is that of "
            "the client in its `X-Forwarded-For`."
        ),
    ] = None
    address_refusals: Annotated[
        int,
        Meta(
            ge=1, le=_MOST, description="Wrong API keys that one client address may send a minute to one API process."
        ),
    ] = 300
    image_deadline_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=_LONGEST_SECONDS,
            description="How long an image may take before it fails.",
            extra={"name": "image_deadline"},
        ),
    ] = 280
    video_deadline_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=_LONGEST_SECONDS,
            description="How long a video may take before it fails.",
            extra={"name": "video_deadline"},
        ),
    ] = 3600
    lease_seconds: Annotated[
        int,
        Meta(
            ge=2,
            le=_LONGEST_SECONDS,
            description="How long a silent runner keeps a generation; half as long once its session with the database "
            "has ended.",
            extra={"name": "lease"},
        ),
    ] = 10
    render_processes: Annotated[
        RenderProcesses | None,
        Meta(
            description="Processes of the built-in renderer, in each API process and worker; without it, one for each "
            "processor and each GiB of memory that this machine or container has, 8 at most."
        ),
    ] = None
    worker_concurrency: Annotated[
        int, Meta(ge=1, le=_MOST, description="Videos that one worker has under way on remote backends at once.")
    ] = 2500
    low_balance: Annotated[
        Dollars | None,
        Meta(
            description="Dollars: a balance that falls below them is told to webhooks. Without it, none is.",
            examples=["5", "0.50"],
        ),
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least severe log line.")] = (
        "info"
    )
    log_format: Annotated[Literal["console", "json"], Meta(description="How log lines are written.")] = "console"
    metrics: Annotated[
        Address | None,
        Meta(
            examples=["127.0.0.1:9484"],
            description="Address and port where Prometheus gets the metrics of this node; without it, nowhere.",
        ),
    ] = None
    metrics_token: Annotated[
        Secret | None, Meta(description="Bearer token that it must show there.", examples=["s3cret"])
    ] = None
    traces_prompt: Annotated[
        Literal["on", "off"],
        Meta(description="Whether traces tell the prompt to whoever sees them (docs/tracing.md)."),
    ] = "off"
    shutdown_seconds: Annotated[
        int, Meta(ge=1, le=86400, description="Grace for work under way at a stop.", extra={"name": "shutdown"})
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
        return _http(EVERY_ADDRESS.get(self.host, self.host), self.port)

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        return _http(self.host, self.port)


def _http(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{port}"


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
    path = file or Path(environ.get(CONFIG) or "safelight.toml")
    explicit = file is not None or bool(environ.get(CONFIG))
    for name, value in _read_file(path, required=explicit).items():
        if name not in names:
            near = variables.did_you_mean(name, names)
            raise ConfigurationError(f"{path}: there is no setting {name!r}. {near}{variables.PAGE}")
        given = value.strip() if isinstance(value, str) else value
        if given != "":  # a blank is none, as in the environment
            values[names[name].name], where[names[name].name] = given, f"{path}: {name}"
    for name, field in names.items():
        variable = PREFIX + name.upper()
        value = environ.get(variable, "").strip()
        if value and not variables.is_of_a_service(variable, value):
            values[field.name], where[field.name] = value, variable
    for key, value in overrides.items():
        if value is not None:
            values[key], where[key] = value, f"--{key.replace('_', '-')}"
    settings = _convert(values, where)
    settings = msgspec.structs.replace(settings, data_dir=Path(os.path.normpath(settings.data_dir)))
    variables.check_known(environ, names, lambda: _text_of(settings.catalog))
    _check_together(settings)
    return settings


def ignored_variables(environ: Mapping[str, str]) -> list[str]:
    """What is to be said of variables that look like settings and are none."""
    return variables.notes(environ, setting_names())


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return read_toml(path)
    except FileNotFoundError:
        if required:
            raise ConfigurationError(f"There is no settings file {path}.") from None
        return {}


def _text_of(path: Path | None) -> str:
    """What a file says; nothing where it cannot be read, which is told where it is needed."""
    try:
        return "" if path is None else read_text(path)
    except (OSError, ConfigurationError):
        return ""


def _convert(values: dict[str, Any], where: dict[str, str]) -> Settings:
    prepared = {}
    for field in setting_names().values():
        if (key := field.name) not in values:
            continue
        value = values[key]
        if key.endswith("_seconds"):
            value = _seconds(value, where[key])
        elif key == "host" and isinstance(value, str):
            value = read_host(value, where[key])
        elif isinstance(value, str) and (bounds := _bounds(field)):
            number = number_within(value, *bounds)
            value = value if number is None else number  # text is refused below
        try:
            msgspec.convert({key: value}, Settings, dec_hook=_decode)
        except msgspec.ValidationError:
            raise ConfigurationError(f"{where[key]}: {_wanted(field)} Correct it and start again.") from None
        prepared[key] = value
    return msgspec.convert(prepared, Settings, dec_hook=_decode)


def _kinds(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """What a field takes, without its notes."""
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            yield from _kinds(inner)
        case msgspec.inspect.UnionType(types=several):
            for each in several:
                yield from _kinds(each)
        case _:
            yield kind


def _bounds(field: msgspec.inspect.Field) -> tuple[int, int] | None:
    """The least and the most of a field that takes a whole number."""
    for kind in _kinds(field.type):
        if isinstance(kind, msgspec.inspect.IntType) and kind.ge is not None and kind.le is not None:
            return kind.ge, kind.le
    return None


def _wanted(field: msgspec.inspect.Field) -> str:
    """What a value of the field looks like. The value is not repeated: it may be a secret in the wrong place."""
    if bounds := _bounds(field):
        unit = "s" if field.name.endswith("_seconds") else ""
        return f"it is a {'time' if unit else 'whole number'} from {bounds[0]}{unit} to {bounds[1]}{unit}."
    for kind in _kinds(field.type):
        if isinstance(kind, msgspec.inspect.LiteralType):
            return f"it is one of {', '.join(map(str, kind.values))}."
        if isinstance(kind, msgspec.inspect.CustomType):
            return "it is a path."
    notes = field.type.extra_json_schema if isinstance(field.type, msgspec.inspect.Metadata) else None
    return f"it is text{' such as ' + ' or '.join(notes['examples']) if notes and 'examples' in notes else ''}."


def _decode(kind: type, value: Any) -> Any:
    """A path as text. A ``TypeError`` is told as a wrong value."""
    if kind is Path and isinstance(value, (str, Path)) and "\0" not in str(value):
        return Path(value)
    raise TypeError("Expected a path")


def _seconds(value: Any, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ConfigurationError(f"{where}: {value!r} is not a duration. Write it as 30s, 5m, 12h or 7d.")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _check_together(settings: Settings) -> None:
    """Raise ``ConfigurationError`` for settings that contradict each other."""
    for contradicts, text in (
        (
            settings.retention_seconds > settings.retention_max_seconds,
            "SAFELIGHT_RETENTION ({retention_seconds}s) is longer than SAFELIGHT_RETENTION_MAX "
            "({retention_max_seconds}s). Shorten the one, or lengthen the other",
        ),
        (
            settings.archive_after_seconds is not None
            and settings.archive_after_seconds < settings.retention_max_seconds + _EVENTS_SECONDS,
            "SAFELIGHT_ARCHIVE_AFTER ({archive_after_seconds}s) is not 31 days longer than SAFELIGHT_RETENTION_MAX "
            "({retention_max_seconds}s): files and events would still be kept. Lengthen the one, or shorten the other",
        ),
        (
            settings.lease_seconds >= min(settings.image_deadline_seconds, settings.video_deadline_seconds),
            "SAFELIGHT_LEASE ({lease_seconds}s) is not shorter than SAFELIGHT_IMAGE_DEADLINE "
            "({image_deadline_seconds}s) and SAFELIGHT_VIDEO_DEADLINE ({video_deadline_seconds}s): what a lost node "
            "had begun would fail before another takes it up. Shorten the lease, or lengthen the deadline",
        ),
        (
            settings.moderation == "blocklist" and settings.moderation_blocklist is None,
            "SAFELIGHT_MODERATION is blocklist, and there is no blocklist. Set SAFELIGHT_MODERATION_BLOCKLIST to its "
            "file",
        ),
        (
            settings.moderation != "blocklist" and settings.moderation_blocklist is not None,
            "SAFELIGHT_MODERATION_BLOCKLIST is set, and SAFELIGHT_MODERATION is {moderation}: nothing would be "
            "checked against it. Set SAFELIGHT_MODERATION to blocklist, or leave the list out",
        ),
        (
            settings.moderation != "endpoint" and settings.moderation_key is not None,
            "SAFELIGHT_MODERATION_KEY is set, and SAFELIGHT_MODERATION is {moderation}: nobody would be asked. Set "
            "SAFELIGHT_MODERATION to endpoint, or leave the key out",
        ),
        (
            settings.provenance == "off" and settings.provenance_prompt == "on",
            "SAFELIGHT_PROVENANCE_PROMPT is on, and SAFELIGHT_PROVENANCE is off: there is no manifest to tell the "
            "prompt. Set both on, or both off",
        ),
        (
            settings.dashboard_trusted_header is not None and not (settings.proxies and settings.dashboard_people),
            "SAFELIGHT_DASHBOARD_TRUSTED_HEADER is set, which takes SAFELIGHT_PROXIES, whose word it is, and "
            "SAFELIGHT_DASHBOARD_PEOPLE, for what each may do. Set both, or leave the header out",
        ),
        (
            settings.metrics_token is not None and settings.metrics is None,
            "SAFELIGHT_METRICS_TOKEN is set, and SAFELIGHT_METRICS is not: nobody is told anything. Set the address, "
            "or leave the token out",
        ),
        (
            settings.metrics is not None and int(settings.metrics.rpartition(":")[2]) in (0, settings.port),
            "SAFELIGHT_METRICS ({metrics}) has no port of its own. Choose another than that of the API, such as "
            "127.0.0.1:9484",
        ),
        (
            settings.accel_prefix is not None and not settings.media_store_url.startswith("file:"),
            "SAFELIGHT_ACCEL_PREFIX is set, and the media is in an object store, from which nginx sends no files. "
            "Leave one of them out",
        ),
        (
            settings.download_redirect == "on" and settings.media_store_url.startswith("file:"),
            "SAFELIGHT_DOWNLOAD_REDIRECT is on, and the media is in a folder, which downloads cannot be redirected "
            "to. Set SAFELIGHT_MEDIA_URL to an object store, or the redirect off",
        ),
    ):
        if contradicts:
            raise ConfigurationError(f"{text.format(**msgspec.structs.asdict(settings))}.")
