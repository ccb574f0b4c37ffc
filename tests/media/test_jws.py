"""A signed statement is a JSON Web Signature as RFC 7515 has it, checked by nothing of ours."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID

from safelight.domain.errors import ConfigurationError
from safelight.media.jws import StatementSigner
from safelight.node.chain import create_local_chain

STATEMENT = {"id": "req-01J0000000000000000000000A", "files": [{"index": 0, "name": "ünïcode"}]}
CURVES: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm, int]] = {
    "ES256": (ec.SECP256R1(), hashes.SHA256(), 32),
    "ES384": (ec.SECP384R1(), hashes.SHA384(), 48),
    "ES512": (ec.SECP521R1(), hashes.SHA512(), 66),
}
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def certificate(key: Key) -> bytes:
    """One that speaks for itself, in PEM; of which kind does not matter to a statement."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Studio")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def decoded(part: str) -> bytes:
    """Base64url as RFC 7515 has it: its own two letters, and no padding."""
    assert not set(part) & set("+/=")
    return base64.b64decode(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4), validate=True)


@pytest.mark.parametrize("algorithm", CURVES)
def test_a_statement_on_each_curve(algorithm: str) -> None:
    curve, digest, size_bytes = CURVES[algorithm]
    key = ec.generate_private_key(curve)
    signer = StatementSigner(certificate(key), pem(key))
    for _ in range(20):  # an integer that begins with zero keeps its length
        signed, _, signature = signer.sign(STATEMENT).rpartition(".")
        header, payload = map(decoded, signed.split("."))
        assert json.loads(header)["alg"] == algorithm
        assert json.loads(payload) == STATEMENT
        raw = decoded(signature)
        assert len(raw) == 2 * size_bytes
        der = encode_dss_signature(int.from_bytes(raw[:size_bytes]), int.from_bytes(raw[size_bytes:]))
        key.public_key().verify(der, signed.encode(), ec.ECDSA(digest))


def test_a_statement_with_ed25519() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signed, _, signature = StatementSigner(certificate(key), pem(key)).sign(STATEMENT).rpartition(".")
    header, payload = map(decoded, signed.split("."))
    assert json.loads(header)["alg"] == "EdDSA"
    assert json.loads(payload) == STATEMENT
    key.public_key().verify(decoded(signature), signed.encode())


def test_the_header_carries_the_whole_chain() -> None:
    """The signer's certificate first, each in DER (RFC 7515, section 4.1.6)."""
    root, leaf, key = create_local_chain("Example Studio")
    header = json.loads(decoded(StatementSigner(leaf + root, key).sign(STATEMENT).split(".")[0]))
    told = [x509.load_der_x509_certificate(base64.b64decode(each, validate=True)) for each in header["x5c"]]
    assert told == [x509.load_pem_x509_certificate(each) for each in (leaf, root)]


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(public_exponent=65537, key_size=2048)],
    ids=["another curve", "RSA"],
)
def test_a_key_that_no_statement_can_be_signed_with(key: Key) -> None:
    with pytest.raises(ConfigurationError, match="provenance key"):
        StatementSigner(certificate(key), pem(key))


def test_what_is_no_pem_is_refused() -> None:
    _, leaf, key = create_local_chain("Example Studio")
    with pytest.raises(ConfigurationError, match="key"):
        StatementSigner(leaf, b"nothing")
    with pytest.raises(ConfigurationError, match="chain"):
        StatementSigner(b"nothing", key)
