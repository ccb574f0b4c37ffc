"""Manifest stores made from one that the C2PA library made: only what a file has of its own is put in anew.

A store is boxes in boxes (JUMBF, ISO/IEC 19566-5), whose contents are CBOR (RFC 8949). Whatever the library writes is
kept as it wrote it, in its order; the values that change are found in the sample by what was asked for, where each has
to be exactly once, and lengths are written anew. A store that is built otherwise raises ``UnknownLayout``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import BinaryIO
from uuid import uuid4

import msgspec

from safelight.domain.media import MimeType
from safelight.media.boxes import box, boxes_in
from safelight.media.embedding import Gap, gap

Sign = Callable[[bytes], bytes]
"""From the bytes to be signed to a signature as COSE has it (RFC 9053): of the same length for each."""

_SALT = b"\0\0\0\x18c2sh"
_SALT_BYTES = 16


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


def _parts(data: bytes, *names: bytes) -> list[bytes]:
    """The contents of the boxes in ``data``, which has to hold those and nothing else."""
    boxes = list(boxes_in(data))
    if [each.name for each in boxes] != list(names):
        raise UnknownLayout("there are other boxes than expected")
    return [data[each.content : each.end] for each in boxes]


def _content(value: bytes) -> bytes:
    return box(b"cbor", value)


def _description(content: bytes) -> bytes:
    return box(b"jumd", content)


class _Assertion(msgspec.Struct, frozen=True):
    """One assertion: its description with a salt of its own, and what it says."""

    description: Pieces
    content: Pieces

    @classmethod
    def cut(cls, inside: bytes, found: Mapping[str, bytes]) -> _Assertion:
        description, content = _parts(inside, b"jumd", b"cbor")
        _, mark, salt = description.rpartition(_SALT)
        if not mark or len(salt) != _SALT_BYTES:
            raise UnknownLayout("an assertion has no salt")
        described = _description(description).removesuffix(salt)
        return cls(Pieces((described, b""), ("salt",)), Pieces.cut(content, found))

    def inside(self, values: Mapping[str, bytes]) -> bytes:
        """What the box holds, which the claim has the hash of (C2PA 2.2, section 8.4.2.3)."""
        return self.description.filled({"salt": os.urandom(_SALT_BYTES)}) + _content(self.content.filled(values))


class _DataHash(msgspec.Struct, frozen=True):
    """The hash of all but one range, whose numbers are padded so that the assertion has one length (18.5)."""

    assertion: _Assertion
    padded_bytes: int

    @classmethod
    def cut(cls, inside: bytes, place: Gap, digest: bytes) -> _DataHash:
        exclusion = _exclusion(len(place.before), place.excluded_bytes)
        padding = inside.rpartition(b"cpad")[2][1:]
        found = {"exclusion": exclusion, "hash": _hash(digest), "padding": b"cpad" + binary(padding)}
        return cls(_Assertion.cut(inside, found), len(exclusion) + len(padding))

    def inside(self, digest: bytes, start: int, excluded_bytes: int) -> bytes:
        exclusion = _exclusion(start, excluded_bytes)
        padding = bytes(self.padded_bytes - len(exclusion))
        values = {"exclusion": exclusion, "hash": _hash(digest), "padding": b"cpad" + binary(padding)}
        return self.assertion.inside(values)


class _BmffHash(msgspec.Struct, frozen=True):
    """The hash of all but some boxes, which are named and the same for each file (18.6)."""

    assertion: _Assertion

    @classmethod
    def cut(cls, inside: bytes, _place: Gap, digest: bytes) -> _BmffHash:
        return cls(_Assertion.cut(inside, {"hash": _hash(digest)}))

    def inside(self, digest: bytes, _start: int, _excluded_bytes: int) -> bytes:
        return self.assertion.inside({"hash": _hash(digest)})


_HARD_BINDINGS: dict[str, type[_DataHash | _BmffHash]] = {"c2pa.hash.data": _DataHash, "c2pa.hash.bmff.v3": _BmffHash}
"""The assertions that bind a manifest to its file, by their labels."""


class ManifestTemplate:
    """Makes the manifest stores of files of one kind. Holds no state: used from any thread."""

    def __init__(
        self, signed: bytes, unsigned: bytes, store: bytes, mime_type: MimeType, texts: Mapping[str, str]
    ) -> None:
        """Take a sample apart: a file before and after the library signed it, and the store that it put in.

        ``texts``: the value of each string that is to change, by the name that ``sign`` gets it by. Raises
        ``UnknownLayout``.
        """
        place, digest = gap(BytesIO(unsigned), mime_type, len(store)), hashlib.sha256()
        if place is None or b"".join((place.head(store), *place.after(digest))) != signed:
            raise UnknownLayout("the store lies elsewhere in the file")
        self._mime_type = mime_type
        self._bytes_beside_texts = len(store) - sum(len(text(value)) for value in texts.values())
        (root,) = _parts(store, b"jumb")
        self._root, manifest = _parts(root, b"jumd", b"jumb")
        described, assertions, claim, signature = _parts(manifest, b"jumd", b"jumb", b"jumb", b"jumb")
        label = described[17:-1]
        self._manifest = Pieces.cut(_description(described), {"label": label})
        self._assertions, actions, binding = _parts(assertions, b"jumd", b"jumb", b"jumb")
        self._binding = _HARD_BINDINGS[place.hashed_as].cut(binding, place, digest.digest())
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
                "binding hash": binary(hashlib.sha256(binding).digest()),
            },
        )
        self._signature_described, cose = _parts(signature, b"jumd", b"cbor")
        self._protected, self._before_signature, self._signature_bytes = _cose(cose)

    def sign(self, source: BinaryIO, target: BinaryIO, texts: Mapping[str, str], sign: Sign) -> bool:
        """Write a file with its manifest; False, with nothing written, where it is not a plain one of its kind.

        Both have to be at their start, and the target to be empty. The source is read once, a clip in pieces.
        """
        values = {name: text(value) for name, value in texts.items()}
        store_bytes = self._bytes_beside_texts + sum(map(len, values.values()))
        identity = str(uuid4())
        values |= {"label": b"urn:c2pa:" + identity.encode(), "instance": str(uuid4()).encode()}
        actions = self._actions.inside(values)
        values["actions hash"] = binary(hashlib.sha256(actions).digest())
        place, digest = gap(source, self._mime_type, store_bytes), hashlib.sha256()
        if place is None:
            return False
        target.seek(len(place.before) + place.excluded_bytes)
        target.writelines(place.after(digest))
        binding = self._binding.inside(digest.digest(), len(place.before), place.excluded_bytes)
        head = place.head(self._store(actions, binding, values, sign))
        target.seek(0)
        target.write(head)
        return True

    def _store(self, actions: bytes, binding: bytes, values: dict[str, bytes], sign: Sign) -> bytes:
        claim = self._claim.filled(values | {"binding hash": binary(hashlib.sha256(binding).digest())})
        signature = sign(_to_be_signed(self._protected, claim))
        if len(signature) != self._signature_bytes:
            raise ValueError("The signature has another length than the sample's.")
        manifest = box(
            b"jumb",
            self._manifest.filled(values),
            box(b"jumb", _description(self._assertions), box(b"jumb", actions), box(b"jumb", binding)),
            box(b"jumb", _description(self._claim_described), _content(claim)),
            box(b"jumb", _description(self._signature_described), _content(self._before_signature + signature)),
        )
        return box(b"jumb", _description(self._root), manifest)


def _hash(digest: bytes) -> bytes:
    return b"dhash" + binary(digest)


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
