"""Manifest stores made from one that the C2PA library made: only what a file has of its own is put in anew.

A store is boxes in boxes (JUMBF, ISO/IEC 19566-5), whose contents are CBOR (RFC 8949). Whatever the library writes is
kept as it wrote it, in its order; the values that change are found in the sample by what was asked for, where each has
to be exactly once, and lengths are written anew. A store that is built otherwise raises ``UnknownLayout``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from uuid import uuid4

import msgspec

from safelight.domain.media import MimeType
from safelight.media.embedding import gap

Sign = Callable[[bytes], bytes]
"""From the bytes to be signed to a signature as COSE has it (RFC 9053): of the same length for each."""

_SALT = b"\0\0\0\x18c2sh"
_SALT_BYTES, _HASH_BYTES = 16, 32


class UnknownLayout(Exception):
    """The library builds a manifest store in a way that is not known here."""


class Pieces(msgspec.Struct, frozen=True):
    """Bytes with named gaps: between two constants, one name."""

    constants: tuple[bytes, ...]
    names: tuple[str, ...]

    @classmethod
    def cut(cls, sample: bytes, found: Mapping[str, bytes]) -> Pieces:
        """Cut a sample where the values are. Raises ``UnknownLayout`` unless each is there once and by itself."""
        places = []
        for name, value in found.items():
            if not value or sample.count(value) != 1:
                raise UnknownLayout(f"{name} is not there once")
            at = sample.index(value)
            places.append((at, at + len(value), name))
        places.sort()
        constants, end = [], 0
        for begin, following, _name in places:
            if begin < end:
                raise UnknownLayout("two values are in one place")
            constants.append(sample[end:begin])
            end = following
        return cls((*constants, sample[end:]), tuple(name for _, _, name in places))

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        parts = [self.constants[0]]
        for name, constant in zip(self.names, self.constants[1:], strict=True):
            parts += (values[name], constant)
        return b"".join(parts)


def text(value: str) -> bytes:
    """A string in CBOR."""
    encoded = value.encode()
    return _head(0x60, len(encoded)) + encoded


def binary(value: bytes) -> bytes:
    """Bytes in CBOR."""
    return _head(0x40, len(value)) + value


def number(value: int) -> bytes:
    """A whole number of at least zero in CBOR."""
    return _head(0, value)


def _head(kind: int, size: int) -> bytes:
    """Source: RFC 8949, section 3, in the shortest form, as section 4.2.1 asks."""
    if size < 24:
        return bytes([kind | size])
    length = next(length for length in (1, 2, 4, 8) if size < 1 << 8 * length)
    return bytes([kind | 23 + length.bit_length()]) + size.to_bytes(length)


def _box(*parts: bytes) -> bytes:
    return b"".join(((8 + sum(map(len, parts))).to_bytes(4), b"jumb", *parts))


def _content(value: bytes) -> bytes:
    return (8 + len(value)).to_bytes(4) + b"cbor" + value


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box of those in ``data``, which has to hold nothing else."""
    at = 0
    while at < len(data):
        size_bytes = int.from_bytes(data[at : at + 4])
        if size_bytes < 8 or at + size_bytes > len(data):
            raise UnknownLayout("a box has no whole length")
        yield data[at + 4 : at + 8], data[at + 8 : at + size_bytes]
        at += size_bytes


def _parts(data: bytes, *names: bytes) -> list[bytes]:
    boxes = list(_boxes(data))
    if [name for name, _ in boxes] != list(names):
        raise UnknownLayout("there are other boxes than expected")
    return [content for _, content in boxes]


def _description(content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + b"jumd" + content


class _Assertion(msgspec.Struct, frozen=True):
    """One assertion: its description with a salt of its own, and what it says."""

    description: Pieces
    content: Pieces

    @classmethod
    def cut(cls, box: bytes, found: Mapping[str, bytes]) -> _Assertion:
        description, content = _parts(box, b"jumd", b"cbor")
        _, mark, salt = description.rpartition(_SALT)
        if not mark or len(salt) != _SALT_BYTES:
            raise UnknownLayout("an assertion has no salt")
        described = _description(description).removesuffix(salt)
        return cls(Pieces((described, b""), ("salt",)), Pieces.cut(content, found))

    def inside(self, values: Mapping[str, bytes]) -> bytes:
        """What the box holds, which the claim has the hash of (C2PA 2.2, section 8.4.2.3)."""
        return self.description.filled({"salt": os.urandom(_SALT_BYTES)}) + _content(self.content.filled(values))


class ManifestTemplate:
    """Makes the manifest stores of pictures of one kind. Holds no state: used from any thread."""

    def __init__(
        self, signed: bytes, unsigned: bytes, store: bytes, mime_type: MimeType, texts: Mapping[str, str]
    ) -> None:
        """Take a sample apart: a picture before and after the library signed it, and the store that it put in.

        ``texts``: the value of each string that is to change, by the name that ``fill`` gives it by. Raises
        ``UnknownLayout``.
        """
        place = gap(unsigned, mime_type, len(store))
        if place is None or place.filled(store) != signed:
            raise UnknownLayout("the store lies elsewhere in the file")
        (root,) = _parts(store, b"jumb")
        self._root, manifest = _parts(root, b"jumd", b"jumb")
        described, assertions, claim, signature = _parts(manifest, b"jumd", b"jumb", b"jumb", b"jumb")
        label = described[17:-1]
        self._manifest = Pieces.cut(_description(described), {"label": label})
        self._assertions, actions, data_hash = _parts(assertions, b"jumd", b"jumb", b"jumb")
        digest = hashlib.sha256(place.before)
        digest.update(place.after)
        exclusion = _exclusion(len(place.before), place.excluded_bytes)
        padding = data_hash.rpartition(b"cpad")[2][1:]
        self._padded_bytes = len(exclusion) + len(padding)
        self._data_hash = _Assertion.cut(
            data_hash,
            {
                "exclusion": exclusion,
                "data hash": b"dhash" + binary(digest.digest()),
                "padding": b"cpad" + binary(padding),
            },
        )
        self._actions = _Assertion.cut(actions, {name: text(value) for name, value in texts.items() if name != "title"})
        self._claim_described, claim = _parts(claim, b"jumd", b"cbor")
        instance = claim.partition(b"xmp.iid:")[2][:36]
        self._claim = Pieces.cut(
            claim,
            {
                "label": label,
                "instance": instance,
                "title": text(texts["title"]),
                "actions hash": binary(hashlib.sha256(actions).digest()),
                "data hash hash": binary(hashlib.sha256(data_hash).digest()),
            },
        )
        self._signature_described, cose = _parts(signature, b"jumd", b"cbor")
        self._protected, self._before_signature, self._signature_bytes = _cose(cose)

    def sign(self, data: bytes, mime_type: MimeType, texts: Mapping[str, str], sign: Sign) -> bytes | None:
        """The file ``data`` with its manifest; None where it is not a plain one of its kind."""
        values = {name: text(value) for name, value in texts.items()}
        identity = str(uuid4())
        values |= {"label": b"urn:c2pa:" + identity.encode(), "instance": str(uuid4()).encode()}
        actions = self._actions.inside(values)
        values["actions hash"] = binary(hashlib.sha256(actions).digest())
        blank = self._store(actions, self._hashed(0, 0, bytes(_HASH_BYTES)), values, None)
        place = gap(data, mime_type, len(blank))
        if place is None:
            return None
        digest = hashlib.sha256(place.before)
        digest.update(place.after)
        hashed = self._hashed(len(place.before), place.excluded_bytes, digest.digest())
        return place.filled(self._store(actions, hashed, values, sign))

    def _hashed(self, start: int, excluded_bytes: int, digest: bytes) -> bytes:
        """The assertion of the file's hash, of one length whatever the numbers are."""
        exclusion = _exclusion(start, excluded_bytes)
        padding = bytes(self._padded_bytes - len(exclusion))
        return self._data_hash.inside(
            {
                "exclusion": exclusion,
                "data hash": b"dhash" + binary(digest),
                "padding": b"cpad" + binary(padding),
            }
        )

    def _store(self, actions: bytes, data_hash: bytes, values: dict[str, bytes], sign: Sign | None) -> bytes:
        """The whole store; with zeros for a signature where nothing signs."""
        claim = self._claim.filled(values | {"data hash hash": binary(hashlib.sha256(data_hash).digest())})
        signature = sign(_to_be_signed(self._protected, claim)) if sign else bytes(self._signature_bytes)
        if len(signature) != self._signature_bytes:
            raise ValueError("The signature has another length than the sample's.")
        manifest = _box(
            self._manifest.filled(values),
            _box(_description(self._assertions), _box(actions), _box(data_hash)),
            _box(_description(self._claim_described), _content(claim)),
            _box(_description(self._signature_described), _content(self._before_signature + signature)),
        )
        return _box(_description(self._root), manifest)


def _exclusion(start: int, excluded_bytes: int) -> bytes:
    return text("start") + number(start) + text("length") + number(excluded_bytes)


def _to_be_signed(protected: bytes, claim: bytes) -> bytes:
    """Source: RFC 9052, section 4.4."""
    return b"\x84" + text("Signature1") + protected + binary(b"") + binary(claim)


def _cose(cose: bytes) -> tuple[bytes, bytes, int]:
    """Of a COSE_Sign1 (RFC 9052, section 4.2): the protected header, all before the signature, the signature's length.

    The payload has to be the claim, detached (null).
    """
    if cose[:2] != b"\xd2\x84" or cose[2] & 0xE0 != 0x40:
        raise UnknownLayout("the signature is no COSE_Sign1")
    width = {0x58: 1, 0x59: 2, 0x5A: 4}.get(cose[2], 0)
    size_bytes = int.from_bytes(cose[3 : 3 + width]) if width else cose[2] & 0x1F
    protected = cose[2 : 3 + width + size_bytes]
    for length in (64, 96, 132):
        mark = b"\xf6" + _head(0x40, length)
        if cose[-length - len(mark) : -length] == mark:
            return protected, cose[:-length], length
    raise UnknownLayout("the signature is of another length")
