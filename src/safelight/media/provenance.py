"""The C2PA manifest in a media file: who made it, with what, and that not a byte has changed since.

Signing and verifying need no network: no timestamp authority (unless one is given), no remote manifest, no
revocation lookup. Source: C2PA specification 2.2 (actions: section 18.15) and the IPTC vocabulary of
digital source types.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal

import c2pa
import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from safelight import __version__
from safelight.domain.errors import ConfigurationError, ProvenanceError
from safelight.domain.media import EXTENSION_OF_MIME, MimeType
from safelight.media.descriptor_stream import DescriptorStream
from safelight.media.sniff import sniff
from safelight.node.chain import certificate_expiry, create_local_chain, load_chain

__all__ = ["ProvenanceReport", "ProvenanceSigner", "certificate_expiry", "create_local_chain", "verify"]

DigitalSourceType = Literal["trainedAlgorithmicMedia", "algorithmicMedia"]
"""``trainedAlgorithmicMedia`` comes from a trained model, ``algorithmicMedia`` from a mere procedure."""

_SOURCE_TYPE_PREFIX = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PARAMETER_PREFIX = "safelight."
_AGENT = {"name": "Safelight", "version": __version__}
_ALGORITHM_OF_CURVE = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_SIGNER_USAGES = ("1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1")
"""Extended key usages taken from a signer: emailProtection, documentSigning, C2PA claim signing."""

# A thumbnail would add half a megabyte to each file. Checking each signature right after it is made would
# double the cost; instead the certificate and the key are proven once, when the signer is built.
_SETTINGS: dict[str, Any] = {
    "version": 1,
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
_NO_NETWORK: dict[str, Any] = {"core": {"allowed_network_hosts": []}}


class ProvenanceSigner:
    """Signs files with one certificate chain and its private key; made once, used from any thread.

    It does not outlive a fork: a process pool builds its own in the initializer of each worker.
    """

    def __init__(self, chain_pem: bytes, key_pem: bytes, *, timestamp_url: str | None = None) -> None:
        """Build a signer from PEM: the chain (signer's certificate first, no root) and an unencrypted key.

        The key is P-256, P-384, P-521 or Ed25519. ``timestamp_url`` is an RFC 3161 authority that is asked
        for each file; None asks nobody. Raises ``ConfigurationError`` where key and certificate do not belong
        together, or the certificate has expired or may not sign claims: a picture is signed to find out.
        """
        algorithm = _algorithm(chain_pem, key_pem)
        try:
            self._context = _signing_context(algorithm, chain_pem, key_pem, None)
            self._prove(chain_pem)
            if timestamp_url is not None:
                self._context = _signing_context(algorithm, chain_pem, key_pem, timestamp_url)
        except (c2pa.C2paError, ProvenanceError) as error:
            raise ConfigurationError(
                f"The provenance certificate cannot sign: {error}. It has to be valid today, and to allow "
                "digitalSignature and emailProtection, documentSigning or C2PA claim signing."
            ) from error

    def sign(
        self,
        data: bytes,
        **about: Any,
    ) -> bytes:
        with TemporaryFile(buffering=0) as a, TemporaryFile(buffering=0) as b:
            a.write(data)
            self.sign_file(Path(f"/proc/self/fd/{a.fileno()}"), Path(f"/proc/self/fd/{b.fileno()}"), **about)
            b.seek(0)
            return b.read()

    def sign_file(
        self,
        source: Path,
        target: Path,
        *,
        mime_type: MimeType,
        digital_source_type: DigitalSourceType,
        model: str,
        generation_id: str,
        created_at: datetime,
        prompt: str | None = None,
    ) -> None:
        """Write ``source`` with a manifest to ``target``, another path. A manifest that it has is replaced.

        ``prompt`` is told to everyone who gets the file, so it is given only where that is wanted.
        Raises ``ProvenanceError`` with the reason, leaving no ``target``.
        """
        parameters = {"model": model, "generation_id": generation_id}
        if prompt is not None:
            parameters["prompt"] = prompt
        manifest = _manifest(
            f"{generation_id}.{EXTENSION_OF_MIME[mime_type]}", digital_source_type, created_at, parameters
        )
        try:
            with source.open("rb", buffering=0) as original, target.open("w+b", buffering=0) as signed:
                self._sign(manifest, mime_type, original, signed)
        except (c2pa.C2paError, OSError) as error:
            with suppress(OSError):  # it may have no name
                target.unlink()
            raise ProvenanceError(f"The file could not be signed: {error}") from error

    def _sign(self, manifest: str, mime_type: MimeType, original: FileIO, signed: FileIO) -> None:
        with (
            c2pa.Builder(manifest, self._context) as builder,
            DescriptorStream(original.fileno()) as source,
            DescriptorStream(signed.fileno()) as target,
        ):
            builder._sign_internal(mime_type, source, target)

    def _prove(self, chain_pem: bytes) -> None:
        """Sign the smallest picture there is, and check it with the last certificate as the trust anchor."""
        manifest = _manifest("self-test", "algorithmicMedia", datetime.now(UTC), {})
        with TemporaryFile(buffering=0) as original, TemporaryFile(buffering=0) as signed:
            original.write(_smallest_png())
            original.seek(0)
            self._sign(manifest, "image/png", original, signed)
            report = _read(signed, "image/png", load_chain(chain_pem)[-1].public_bytes(Encoding.PEM))
        if not report.valid:
            raise ProvenanceError("; ".join(report.problems))


class ProvenanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's manifest says, and how far it can be believed.

    ``present``: there is a manifest. ``valid``: the signature is right and no byte has changed. ``trusted``:
    it is valid and its certificate leads to the given root. The facts are None where the manifest is silent;
    unless ``valid`` they are mere claims. ``problems`` are C2PA status codes with an explanation.
    """

    present: bool
    valid: bool = False
    trusted: bool = False
    issuer: str | None = None
    algorithm: str | None = None
    digital_source_type: str | None = None
    generator: str | None = None
    title: str | None = None
    model: str | None = None
    generation_id: str | None = None
    created_at: str | None = None
    prompt: str | None = None
    problems: tuple[str, ...] = ()


def verify(path: Path, trust_root_pem: bytes) -> ProvenanceReport:
    """Check a file's manifest against root certificates (PEM). Never raises for what is in the file."""
    mime_type = sniff(path)
    if mime_type is None:
        return ProvenanceReport(present=False, problems=("The file is not a PNG, JPEG, WebP or MP4.",))
    with path.open("rb") as file:
        return _read(file, mime_type, trust_root_pem)


def check_pair(chain_pem: bytes, key_pem: bytes) -> None:
    """Raises ``ConfigurationError`` unless the key can sign and belongs to the first certificate of the chain."""
    _algorithm(chain_pem, key_pem)


def _algorithm(chain_pem: bytes, key_pem: bytes) -> str:
    """The C2PA name of the key's signature algorithm. Raises ``ConfigurationError``."""
    chain = load_chain(chain_pem)
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("The provenance key is not an unencrypted PEM private key.") from error
    if not _belong_together(chain[0], key):
        raise ConfigurationError("The provenance key does not belong to the first certificate of the chain.")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _ALGORITHM_OF_CURVE:
        return _ALGORITHM_OF_CURVE[key.curve.name]
    raise ConfigurationError("The provenance key is of a kind that is not supported; use P-256 or Ed25519.")


def _signing_context(algorithm: str, chain_pem: bytes, key_pem: bytes, timestamp_url: str | None) -> Any:
    info = c2pa.C2paSignerInfo(algorithm, chain_pem, key_pem, timestamp_url)
    settings = _SETTINGS | _NO_NETWORK if timestamp_url is None else _SETTINGS
    return c2pa.Context.from_dict(settings, signer=c2pa.Signer.from_info(info))


def _belong_together(certificate: x509.Certificate, key: Any) -> bool:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return bool(certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form))


def _manifest(title: str, source_type: DigitalSourceType, created_at: datetime, parameters: dict[str, str]) -> str:
    action = {
        "action": "c2pa.created",
        "when": created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "digitalSourceType": _SOURCE_TYPE_PREFIX + source_type,
        "softwareAgent": _AGENT,
        "parameters": {_PARAMETER_PREFIX + name: value for name, value in parameters.items()},
    }
    definition = {
        "claim_generator_info": [_AGENT],
        "title": title,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}, "created": True}],
    }
    return msgspec.json.encode(definition).decode()


@lru_cache(maxsize=8)
def _reading_context(trust_root_pem: bytes) -> Any:
    trust = {"trust_anchors": trust_root_pem.decode(), "trust_config": "\n".join(_SIGNER_USAGES)}
    return c2pa.Context.from_dict(_SETTINGS | _NO_NETWORK | {"trust": trust})


def _read(file: BinaryIO, mime_type: MimeType, trust_root_pem: bytes) -> ProvenanceReport:
    try:
        with c2pa.Reader(mime_type, file, context=_reading_context(trust_root_pem)) as reader:
            store = msgspec.json.decode(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return ProvenanceReport(present=False, problems=("The file has no manifest.",))
    except c2pa.C2paError as error:
        return ProvenanceReport(present=True, problems=(f"The manifest cannot be read: {error}",))
    return _report(store)


def _report(store: dict[str, Any]) -> ProvenanceReport:
    """A report from what the C2PA reader says of a file's whole manifest store."""
    manifest = store["manifests"][store["active_manifest"]]
    failures = store.get("validation_status", [])
    state = store.get("validation_state")
    action = _created_action(manifest)
    parameters = action.get("parameters", {})
    signature = manifest.get("signature_info", {})
    generator = manifest.get("claim_generator_info", [{}])[0]
    return ProvenanceReport(
        present=True,
        valid=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        issuer=signature.get("issuer"),
        algorithm=signature.get("alg"),
        digital_source_type=action.get("digitalSourceType", "").removeprefix(_SOURCE_TYPE_PREFIX) or None,
        generator=" ".join(generator[part] for part in ("name", "version") if part in generator) or None,
        title=manifest.get("title"),
        model=parameters.get(_PARAMETER_PREFIX + "model"),
        generation_id=parameters.get(_PARAMETER_PREFIX + "generation_id"),
        created_at=action.get("when"),
        prompt=parameters.get(_PARAMETER_PREFIX + "prompt"),
        problems=tuple(f"{failure['code']}: {failure.get('explanation', '')}" for failure in failures),
    )


def _created_action(manifest: dict[str, Any]) -> dict[str, Any]:
    """The action that tells how the file came to be; empty where the manifest has none."""
    for assertion in manifest.get("assertions", []):
        if assertion["label"].startswith("c2pa.actions"):
            for action in assertion["data"].get("actions", []):
                if action.get("action") == "c2pa.created":
                    return dict(action)
    return {}


def _smallest_png() -> bytes:
    """A PNG file of one black pixel."""
    chunks = (
        (b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0"),
        (b"IDAT", zlib.compress(b"\0\0")),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4) for name, body in chunks
    )
