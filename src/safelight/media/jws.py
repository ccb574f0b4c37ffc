"""Signed statements that anybody can check: JSON Web Signatures (RFC 7515) with the certificate chain inside."""

from __future__ import annotations

import base64

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from safelight.domain.errors import ConfigurationError
from safelight.node.chain import load_chain

# RFC 7518, section 3.4: the algorithm of each curve, its hash, and the length of a coordinate in bytes.
_OF_CURVE: dict[str, tuple[str, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("ES256", hashes.SHA256(), 32),
    "secp384r1": ("ES384", hashes.SHA384(), 48),
    "secp521r1": ("ES512", hashes.SHA512(), 66),
}


class StatementSigner:
    """Signs statements with the key of a certificate chain, both PEM; ``x5c`` in the header carries the chain.

    Raises ``ConfigurationError`` where either is none.
    """

    def __init__(self, chain_pem: bytes, key_pem: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(key_pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigurationError("The provenance key is not an unencrypted PEM private key.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise ConfigurationError("The provenance key is not an elliptic-curve or Ed25519 key.")
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _OF_CURVE:
            raise ConfigurationError(f"The provenance key is on the curve {key.curve.name}. Use P-256 or Ed25519.")
        self._key = key
        algorithm = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else _OF_CURVE[key.curve.name][0]
        chain = [
            base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
            for certificate in load_chain(chain_pem)
        ]
        self._header = _base64url(msgspec.json.encode({"alg": algorithm, "typ": "JWS", "x5c": chain}))

    def sign(self, statement: object) -> str:
        """The compact serialization (RFC 7515, section 7.1) of a JSON statement."""
        signed = b".".join((self._header, _base64url(msgspec.json.encode(statement))))
        return b".".join((signed, _base64url(self._signature(signed)))).decode()

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        _, algorithm, length = _OF_CURVE[self._key.curve.name]
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(algorithm)))
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
