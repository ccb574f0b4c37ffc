"""Files signed from a template and by the C2PA library alone, and what the library reads in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import c2pa
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from safelight.domain.media import MimeType
from safelight.media import provenance
from safelight.media.provenance import Provenance, ProvenanceSigner
from safelight.node import chain as chains
from safelight.node.chain import create_local_chain

CREATED_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ROOT, CHAIN, KEY = create_local_chain("Example Studio")
NEW = {"instance_id", "instanceID", "label", "active_manifest", "hash", "pad", "length"}


def by_library(chain: bytes, key: bytes) -> ProvenanceSigner:
    signer = ProvenanceSigner(chain, key)
    signer.sign_by_library()
    return signer


SIGNER, LIBRARY = ProvenanceSigner(CHAIN, KEY), by_library(CHAIN, KEY)


def facts(mime_type: MimeType, **options: Any) -> Provenance:
    usual: dict[str, Any] = {
        "digital_source_type": "trainedAlgorithmicMedia",
        "model": "example-model",
        "generation_id": "req-01J0000000000000000000000A",
        "created_at": CREATED_AT,
    }
    return Provenance(mime_type=mime_type, **usual | options)


def sign(signer: ProvenanceSigner, data: bytes, mime_type: MimeType, **options: Any) -> bytes:
    return signer.sign(data, facts(mime_type, **options))


def read(data: bytes, mime_type: MimeType, root: bytes = ROOT) -> tuple[Any, Any]:
    """All that the library says of a file, in brief and in detail."""
    with c2pa.Reader(mime_type, BytesIO(data), context=provenance._reading_context(root)) as reader:
        return msgspec.json.decode(reader.json()), msgspec.json.decode(reader.detailed_json())


def alike(said: Any, label: str) -> Any:
    """The same without what is new in each file."""
    if isinstance(said, dict):
        return {k.replace(label, "LABEL"): None if k in NEW else alike(v, label) for k, v in said.items()}
    if isinstance(said, list):
        return sorted((alike(each, label) for each in said), key=repr)
    return said.replace(label, "LABEL") if isinstance(said, str) else said


def assert_reads_alike(one: bytes, other: bytes, mime_type: MimeType, root: bytes = ROOT) -> None:
    told, expected = read(one, mime_type, root), read(other, mime_type, root)
    assert told[0]["validation_state"] == "Trusted"
    for mine, its in zip(told, expected, strict=True):
        mine, its = alike(mine, told[0]["active_manifest"]), alike(its, expected[0]["active_manifest"])
        for each in (mine, its):  # a signature, in the detailed form
            for manifest in each["manifests"].values():
                manifest.pop("signature_bytes", None)
        assert mine == its


def made_chain(kind: str, length: int) -> tuple[bytes, bytes, bytes]:
    from_curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    key: Any = ec.generate_private_key(from_curve[kind]) if kind in from_curve else ed25519.Ed25519PrivateKey.generate()
    begins = datetime.now(UTC) - timedelta(hours=1)
    names = [chains._name("Example", f"Example {number}") for number in range(length + 1)]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(length)]
    pem = serialization.Encoding.PEM
    certificates = []
    for number in range(length + 1):
        is_leaf = number == length
        issuer = max(number - 1, 0)
        own = key if is_leaf else keys[number]
        builder = (
            chains._certificate(names[number], names[issuer], own, begins, begins + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=not is_leaf, path_length=None), critical=True)
            .add_extension(chains._key_usage(signs_certificates=not is_leaf), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[issuer].public_key()), critical=False
            )
        )
        if is_leaf:
            builder = builder.add_extension(x509.ExtendedKeyUsage(chains._USAGES), critical=False)
        certificates.append(builder.sign(keys[issuer], hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificates[0], b"".join(reversed(certificates[1:])), private
