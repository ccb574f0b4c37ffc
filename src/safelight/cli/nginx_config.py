"""``safelight nginx-config``: a configuration of nginx that checks download links and sends files by itself."""

from __future__ import annotations

import asyncio
import grp
import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter
from jinja2 import Environment, StrictUndefined

from safelight.api.downloads import ALWAYS
from safelight.cli.options import DataDir
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.media import EXTENSION_OF_MIME
from safelight.domain.ports import NotingStore
from safelight.domain.signing import parse_signing_keys
from safelight.node.data_folder import write_closed
from safelight.node.settings import Settings, load_settings
from safelight.wiring import open_media_store, read_declared, signing_keys_of

_TEMPLATES = Path(__file__).with_name("nginx")
_MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"
_FOLDER = "/etc/nginx/safelight"
_ANSWER_SECONDS = 30  # over an image's deadline: no answer that is on its way is silent longer
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/+@:[]")


def nginx_config(
    *,
    output: Annotated[
        Path | None, Parameter(help=f"Folder to write to, such as {_FOLDER}. Without it nginx.conf is printed.")
    ] = None,
    upstream: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="An API node, as HOST:PORT; once for each. Without it: the one of these settings."),
    ] = (),
    listen: Annotated[str, Parameter(help="Port, or address and port, that nginx listens on.")] = "80",
    data_dir: DataDir = None,
) -> None:
    """Write nginx.conf, links.js and links.json, which holds the signing keys; or print the first."""
    settings = load_settings(data_dir=data_dir)
    media = _media_folder(settings)
    folder = Path(_FOLDER) if output is None else output.absolute()
    text = _nginx_conf(settings, media, folder, upstream, listen)
    if output is None:
        print(text, end="")
        return
    _write(settings, media, folder, text)
    print(f"Written to {folder}. 'nginx -c {folder}/nginx.conf' starts nginx, 'nginx -s reload' has it read this.")
    if (closed := _closed_to_its_group(media)) is not None:
        print(f"nginx cannot read {media}: {closed} is closed to it. Until that is open the API sends every file.")


def _media_folder(settings: Settings) -> Path:
    media = open_media_store(settings).local_path("media")
    if media is None:
        raise ConfigurationError(
            "The media is in an object store, from which nginx sends no files. Let that send them: "
            "SAFELIGHT_DOWNLOAD_REDIRECT=on."
        )
    return media.parent


def _write(settings: Settings, media: Path, folder: Path, text: str) -> None:
    """nginx.conf that somebody has changed is kept: the new one lies beside it."""
    keys = parse_signing_keys(signing_keys_of(settings))
    links = {"media": str(media), "keys": [key.secret.hex() for key in keys]}
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    asyncio.run(_want_notes(settings))
    write_closed(folder / "links.json", json.dumps(links))
    (folder / "links.js").write_text((_TEMPLATES / "links.js").read_text())
    main = folder / "nginx.conf"
    if main.exists() and main.read_bytes() != text.encode():
        main = folder / "nginx.conf.new"
        print(f"{folder / 'nginx.conf'} is kept as it is. What would be written now is in {main}.")
    main.write_text(text)


async def _want_notes(settings: Settings) -> None:
    store = open_media_store(settings)
    try:
        if isinstance(store, NotingStore):
            await store.want_notes()
    finally:
        await store.close()


def _nginx_conf(settings: Settings, media: Path, folder: Path, upstreams: tuple[str, ...], listen: str) -> str:
    server_name = urlsplit(settings.base_url).hostname or ""
    for text in (str(media), str(folder), listen, server_name, *upstreams):
        if not text or not _PLAIN.issuperset(text):
            raise ConfigurationError(
                f"{text!r} cannot stand in a configuration of nginx. Use letters, digits and /._+@:-."
            )
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string(  # noqa: S701 - no HTML
        (_TEMPLATES / "nginx.conf.j2").read_text()
    )
    return template.render(
        module=_MODULE,
        user=_user(media),
        folder=folder,
        media=media,
        upstreams=upstreams or (urlsplit(settings.address).netloc,),
        listen=listen,
        read_seconds=_longest_image_seconds(settings) + _ANSWER_SECONDS,
        server_name=server_name,
        types=[(extension, mime_type) for mime_type, extension in EXTENSION_OF_MIME.items()],
        headers=[(name.decode().title(), value.decode()) for name, value in ALWAYS],
    )


def _longest_image_seconds(settings: Settings) -> int:
    """How long the catalog lets an image take."""
    models = read_declared(settings).models.values()
    of_models = [model.deadline_seconds or 0 for model in models if model.type is GenerationType.IMAGE]
    return max(settings.image_deadline_seconds, *of_models, 0)


def _closed_to_its_group(media: Path) -> Path | None:
    """The first folder on the way to the media that lets in neither the group of the media folder nor everybody."""
    group = media.stat().st_gid
    for folder in reversed((media, *media.parents)):
        facts = folder.stat()
        if not (facts.st_mode & 0o001 or (facts.st_mode & 0o010 and facts.st_gid == group)):
            return folder
    return None


def _user(media: Path) -> str:
    """Who nginx's workers are: in the group of the media folder, which may read its files."""
    try:
        return f"www-data {grp.getgrgid(media.stat().st_gid).gr_name}"
    except (OSError, KeyError):  # it is yet to be made
        return "www-data"
