"""The certificate chain that provenance signs with: making an own one, and reading when one ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from safelight.domain.errors import ConfigurationError

C2PA_CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""The extended key usage of C2PA claim signers. Source: C2PA 2.2, section 14.5.1."""
_USAGES = [ExtendedKeyUsageOID.EMAIL_PROTECTION, C2PA_CLAIM_SIGNING]
_DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_CLOCK_SKEW = timedelta(hours=1)

SignerKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def create_local_chain(
    common_name: str, *, algorithm: Literal["es256", "ed25519"] = "es256", days: int = 3650
) -> tuple[bytes, bytes, bytes]:
    """An own root and one signing certificate under it: root, chain and private key, each as PEM.

    The chain leaves the root out, as C2PA asks; verifiers get the root as a trust anchor. The root's key is
    dropped, so that nothing else can be issued under it. Without a timestamp authority a signature verifies
    only as long as its certificate is valid, hence the ten years. Every verifier can check ES256.

    Source of the profile: C2PA 2.2, section 14.5.1, over RFC 5280: version 3, not a CA, digitalSignature as
    the only key usage, an extended key usage fit for claims (and emailProtection, which older verifiers look
    for), and the key identifiers of subject and issuer.
    """
    begins = datetime.now(UTC) - _CLOCK_SKEW
    ends = begins + timedelta(days=days)
    root_key = ec.generate_private_key(ec.SECP256R1())
    key: SignerKey = (
        ec.generate_private_key(ec.SECP256R1()) if algorithm == "es256" else ed25519.Ed25519PrivateKey.generate()
    )
    root_name, name = _name(common_name, f"{common_name} root"), _name(common_name, common_name)
    root = (
        _certificate(root_name, root_name, root_key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _certificate(name, root_name, key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return root.public_bytes(pem), leaf.public_bytes(pem), key_pem


def certificate_expiry(chain_pem: bytes) -> datetime:
    """When the first certificate of a chain ends, in UTC. Raises ``ConfigurationError`` if it is no chain."""
    return min(certificate.not_valid_after_utc for certificate in load_chain(chain_pem))


def check_signer(chain_pem: bytes, path: Path) -> None:
    """Raise ``ConfigurationError`` unless a chain is valid now and its first certificate may sign claims.

    ``path``: where it lies.
    """
    now, chain = datetime.now(UTC), load_chain(chain_pem)
    remedy = "Put a new chain and key there, or set SAFELIGHT_PROVENANCE=off."
    ends, begins = certificate_expiry(chain_pem), max(certificate.not_valid_before_utc for certificate in chain)
    if ends <= now:
        raise ConfigurationError(f"The provenance certificate {path} expired on {ends:%Y-%m-%d}. {remedy}")
    if begins > now:
        raise ConfigurationError(f"The provenance certificate {path} is valid from {begins:%Y-%m-%d} on. {remedy}")
    try:
        usages = set(chain[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        may_sign = chain[0].extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        usages, may_sign = set(), False
    if not may_sign or not usages & {*_USAGES, _DOCUMENT_SIGNING}:
        raise ConfigurationError(
            f"The provenance certificate {path} may not sign claims: it has to allow digitalSignature, and "
            f"emailProtection, documentSigning or C2PA claim signing. {remedy}"
        )


def load_chain(chain_pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM chain, the signer's first. Raises ``ConfigurationError``."""
    try:
        return x509.load_pem_x509_certificates(chain_pem)
    except ValueError as error:
        raise ConfigurationError(f"The provenance certificate chain is not PEM: {error}") from error


def _name(organization: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: SignerKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
