"""The C2PA manifest in a media file: who made it, with what, and that not a byte has changed since.

Signing and verifying need no network: no timestamp authority (unless one is given), no remote manifest, no
revocation lookup. Source: C2PA specification 2.2 (actions: section 18.15) and the IPTC vocabulary of
digital source types.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal

import c2pa
import msgspec
import pyvips
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from safelight import __version__
from safelight.domain.errors import ConfigurationError, ProvenanceError
from safelight.domain.media import EXTENSION_OF_MIME, MimeType
from safelight.media.descriptor_stream import DescriptorStream
from safelight.media.embedding import SMALLEST_CLIP
from safelight.media.manifest_template import ManifestTemplate, Sign, UnknownLayout
from safelight.media.sniff import sniff
from safelight.node.chain import certificate_expiry, create_local_chain, load_chain

__all__ = ["Provenance", "ProvenanceReport", "ProvenanceSigner", "certificate_expiry", "create_local_chain", "verify"]

DigitalSourceType = Literal["trainedAlgorithmicMedia", "algorithmicMedia"]
"""``trainedAlgorithmicMedia`` comes from a trained model, ``algorithmicMedia`` from a mere procedure."""

_SOURCE_TYPE_PREFIX = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PARAMETER_PREFIX = "safelight."
_AGENT = {"name": "Safelight", "version": __version__}
_ALGORITHM_OF_CURVE = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_HASH_OF_CURVE = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
_BUFFER_BYTES = 128 * 1024
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


log = structlog.get_logger()


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says of a file.

    ``prompt`` is told to everyone who gets the file, so it is given only where that is wanted.
    """

    mime_type: MimeType
    digital_source_type: DigitalSourceType
    model: str
    generation_id: str
    created_at: datetime
    prompt: str | None = None

    def texts(self) -> dict[str, str]:
        """Each string of the manifest that differs from file to file."""
        texts = {
            "title": f"{self.generation_id}.{EXTENSION_OF_MIME[self.mime_type]}",
            "when": self.created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "source type": _SOURCE_TYPE_PREFIX + self.digital_source_type,
            "model": self.model,
            "generation_id": self.generation_id,
        }
        return texts if self.prompt is None else texts | {"prompt": self.prompt}

    def manifest(self) -> str:
        """The same for the library, as JSON."""
        texts = self.texts()
        action = {
            "action": "c2pa.created",
            "when": texts["when"],
            "digitalSourceType": texts["source type"],
            "softwareAgent": _AGENT,
            "parameters": {
                _PARAMETER_PREFIX + name: texts[name] for name in ("model", "generation_id", "prompt") if name in texts
            },
        }
        definition = {
            "claim_generator_info": [_AGENT],
            "title": texts["title"],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}, "created": True}],
        }
        return msgspec.json.encode(definition).decode()


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
        self._templates: dict[tuple[MimeType, bool], ManifestTemplate] = {}
        try:
            self._context = _signing_context(algorithm, chain_pem, key_pem, None)
            self._key_signs = _signature_of(key_pem)
            self._prove(chain_pem)
            if timestamp_url is not None:  # no template has one
                self.sign_by_library()
                self._context = _signing_context(algorithm, chain_pem, key_pem, timestamp_url)
        except (c2pa.C2paError, ProvenanceError) as error:
            raise ConfigurationError(
                f"The provenance certificate cannot sign: {error}. It has to be valid today, and to allow "
                "digitalSignature and emailProtection, documentSigning or C2PA claim signing."
            ) from error

    @property
    def uses_templates(self) -> bool:
        """Whether plain files are signed without the C2PA library, at a fifth to a third of what that takes."""
        return bool(self._templates)

    def sign_by_library(self) -> None:
        """Leave each file to the C2PA library from now on."""
        self._templates = {}

    def sign(self, data: bytes, provenance: Provenance) -> bytes:
        """The file ``data`` with a manifest, all in memory. A manifest that it has is replaced.

        Raises ``ProvenanceError`` with the reason.
        """
        signed = BytesIO()
        if self._sign_from_template(BytesIO(data), signed, provenance):
            return signed.getvalue()
        try:
            return self._sign_by_library(data, provenance)[0]
        except (c2pa.C2paError, OSError) as error:
            raise ProvenanceError(f"The file could not be signed: {error}") from error

    def sign_file(self, source: Path, target: Path, provenance: Provenance) -> None:
        """The same from ``source`` to ``target``, another path: for clips of any size.

        Raises ``ProvenanceError`` with the reason, leaving no ``target``.
        """
        try:
            with source.open("rb", _BUFFER_BYTES) as original, target.open("w+b", _BUFFER_BYTES) as signed:
                if not self._sign_from_template(original, signed, provenance):
                    os.lseek(original.fileno(), 0, os.SEEK_SET)
                    self._sign(provenance, original, signed)
        except (c2pa.C2paError, OSError) as error:
            with suppress(OSError):  # it may have no name
                target.unlink()
            raise ProvenanceError(f"The file could not be signed: {error}") from error

    def _sign_from_template(self, original: BinaryIO, signed: BinaryIO, provenance: Provenance) -> bool:
        template = self._templates.get((provenance.mime_type, provenance.prompt is not None))
        return template is not None and template.sign(original, signed, provenance.texts(), self._key_signs)

    def _sign(self, provenance: Provenance, original: BinaryIO, signed: BinaryIO) -> bytes:
        with (
            c2pa.Builder(provenance.manifest(), self._context) as builder,
            DescriptorStream(original.fileno()) as source,
            DescriptorStream(signed.fileno()) as target,
        ):
            return bytes(builder._sign_internal(provenance.mime_type, source, target))

    def _sign_by_library(self, data: bytes, provenance: Provenance) -> tuple[bytes, bytes]:
        """The signed file, and the manifest store in it."""
        with TemporaryFile(buffering=0) as original, TemporaryFile(buffering=0) as signed:
            original.write(data)
            original.seek(0)
            store = self._sign(provenance, original, signed)
            signed.seek(0)
            return signed.readall(), store

    def _prove(self, chain_pem: bytes) -> None:
        """Sign the smallest file of each kind, by the library and from a template made of that, and check both.

        The last certificate is the trust anchor. Where a new version of the library builds manifests otherwise, it
        signs each file by itself.
        """
        anchor = load_chain(chain_pem)[-1].public_bytes(Encoding.PEM)
        templates = {}
        for mime_type in EXTENSION_OF_MIME:
            file = _smallest(mime_type)
            for prompt in (None, "self-test prompt"):
                sample = Provenance(
                    mime_type=mime_type,
                    digital_source_type="algorithmicMedia",
                    model="self-test model",
                    generation_id="self-test id",
                    created_at=datetime.now(UTC),
                    prompt=prompt,
                )
                signed, store = self._sign_by_library(file, sample)
                said = _valid(signed, mime_type, anchor)
                try:
                    template = ManifestTemplate(signed, file, store, mime_type, sample.texts())
                    other = BytesIO()
                    template.sign(BytesIO(file), other, sample.texts(), self._key_signs)
                    if _valid(other.getvalue(), mime_type, anchor) != said:
                        raise UnknownLayout("it reads otherwise")
                except (UnknownLayout, ProvenanceError, ValueError, LookupError) as error:
                    log.warning("manifests are made by the C2PA library, which takes longer", reason=str(error))
                    return
                templates[mime_type, prompt is not None] = template
        self._templates = templates


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


def _signature_of(key_pem: bytes) -> Sign:
    """Signs as COSE wants it: the two numbers of ECDSA side by side (RFC 9053, section 2.1), or Ed25519."""
    key: Any = load_pem_private_key(key_pem, password=None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    algorithm, length = ec.ECDSA(_HASH_OF_CURVE[key.curve.name]), (key.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, algorithm))
        return r.to_bytes(length) + s.to_bytes(length)

    return sign


def _smallest(mime_type: MimeType) -> bytes:
    if mime_type == "video/mp4":
        return SMALLEST_CLIP
    return bytes(pyvips.Image.black(1, 1).write_to_buffer("." + EXTENSION_OF_MIME[mime_type]))


def _valid(signed: bytes, mime_type: MimeType, anchor: bytes) -> ProvenanceReport:
    """What is read of a signed file. Raises ``ProvenanceError`` unless it is valid."""
    report = _read(BytesIO(signed), mime_type, anchor)
    if not report.valid:
        raise ProvenanceError("; ".join(report.problems))
    return report


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
