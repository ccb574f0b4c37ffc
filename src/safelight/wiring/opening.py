"""What settings name, opened: each part by itself."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from ipaddress import ip_network
from pathlib import Path

from safelight.blobs import open_store
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import BlobStore, Moderator
from safelight.media.jws import StatementSigner
from safelight.media.provenance import ProvenanceSigner, check_pair
from safelight.moderation.blocklist import Blocklist
from safelight.moderation.endpoint import ModerationEndpoint
from safelight.node.certificates import CHAIN, KEY, provenance_pair, read
from safelight.node.chain import certificate_expiry, check_signer
from safelight.node.operator_files import read_text
from safelight.node.settings import Settings
from safelight.outbound.policy import OutboundPolicy
from safelight.providers.comfyui.snippet import Names, snippet_of
from safelight.providers.comfyui.workflow import WorkflowError
from safelight.providers.registry import KINDS


def open_media_store(settings: Settings) -> BlobStore:
    """Where the settings say that media is kept. Raises ``ConfigurationError``."""
    return open_store(settings.media_store_url)


def open_signer(settings: Settings) -> ProvenanceSigner | None:
    """The signer that the settings name; None where signing is off. Raises ``ConfigurationError``."""
    return None if settings.provenance == "off" else ProvenanceSigner(*provenance_pair(settings))


def open_statement_signer(settings: Settings) -> StatementSigner | None:
    """What signs receipts: the same chain; None where there is none."""
    folder = settings.provenance_folder
    return StatementSigner(read(folder / CHAIN), read(folder / KEY)) if (folder / CHAIN).exists() else None


def check_provenance(settings: Settings) -> datetime | None:
    """When the chain ends that signs; None where none does, or it is yet to be made.

    Finds what would keep it from signing, before any process needs it. Raises ``ConfigurationError``.
    """
    folder = settings.provenance_folder
    open_statement_signer(settings)
    if settings.provenance == "off" or (settings.provenance_dir is None and not (folder / CHAIN).exists()):
        return None
    chain = read(folder / CHAIN)
    check_pair(chain, read(folder / KEY))
    check_signer(chain, folder / CHAIN)
    return certificate_expiry(chain)


def open_moderator(settings: Settings) -> Moderator | None:
    """What checks prompts and pictures; None where nothing does. Raises ``ConfigurationError``."""
    match settings.moderation:
        case "blocklist":
            assert settings.moderation_blocklist is not None  # or the settings contradict each other
            return Blocklist(settings.moderation_blocklist)
        case "endpoint":
            return ModerationEndpoint(settings.moderation_url, settings.moderation_key, settings.moderation_model)
        case _:
            return None


def comfyui_snippet(
    path: Path,
    *,
    catalog_dir: Path | None,
    model: str | None,
    name: str | None,
    connection: str,
    base_url: str,
    today: date,
) -> str:
    """A piece of a catalog for the ComfyUI workflow in a file, which reads as one. Raises ``ConfigurationError``."""
    try:
        names = Names(model=model, name=name, connection=connection, base_url=base_url)
        snippet = snippet_of(path, names, today, catalog_dir)
    except WorkflowError as error:
        raise ConfigurationError(str(error)) from None
    read_catalog(tomllib.loads(snippet), source="what was asked for", kinds=KINDS)
    return snippet


def proxies_of(settings: Settings) -> list[str]:
    """The networks of the proxies in front. Raises ``ConfigurationError``.

    Those of IPv4 also as a server that listens on ``::`` sees them (RFC 4291, section 2.5.5.2).
    """
    networks = []
    for each in filter(None, map(str.strip, (settings.proxies or "").split(","))):
        try:
            network = ip_network(each, strict=False)
        except ValueError:
            raise ConfigurationError(
                f"SAFELIGHT_PROXIES: {each!r} is no address or network. Write 10.0.0.7 or 10.0.0.0/24."
            ) from None
        networks.append(str(network))
        if network.version == 4:
            networks.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return networks


def outbound_policy(settings: Settings) -> OutboundPolicy:
    """What references and webhooks may reach. Raises ``ConfigurationError``."""
    return OutboundPolicy.parse((settings.references_allow or "").split(","))


def signing_keys_of(settings: Settings) -> str:
    if settings.signing_keys:
        return settings.signing_keys
    path = settings.data_dir / "signing-keys"
    try:
        return read_text(path)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There are no signing keys: {path}: {error.strerror}. "
            "'safelight up' makes them, or set SAFELIGHT_SIGNING_KEYS."
        ) from None
