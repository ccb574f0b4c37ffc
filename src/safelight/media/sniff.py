"""Which media format some bytes are, by content and never by name."""

from __future__ import annotations

from pathlib import Path

from safelight.domain.media import MimeType

FIRST_BYTES = 256
"""How many bytes ``sniff`` looks at, at most."""

_MP4_BRANDS = frozenset(
    {b"isom", b"mp41", b"mp42", b"avc1", b"av01", b"hvc1", b"dash", b"MSNV", b"M4V ", b"M4VH", b"M4VP"}
    | {b"iso%d" % version for version in range(2, 10)}
)
_OTHER_MAJOR_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"qt  ", b"M4A ", b"M4B "})
"""Files of the same box family that are pictures, sound or QuickTime, whatever else they claim to be."""


def sniff(source: Path | bytes) -> MimeType | None:
    """The MIME type of a file, or of the first bytes of one; None if it is none of the four delivered.

    This tells the format only. Whether the file is whole is for ``measure`` to say.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(FIRST_BYTES)
    else:
        head = source[:FIRST_BYTES]
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and _is_mp4(head):
        return "video/mp4"
    return None


def _is_mp4(head: bytes) -> bool:
    """Whether an ``ftyp`` box names MP4.

    Source: ISO/IEC 14496-12, 4.3: a major brand, a version, and the compatible brands.
    """
    box = head[: int.from_bytes(head[:4])]
    major = box[8:12]
    compatible = {box[at : at + 4] for at in range(16, len(box) - 3, 4)}
    return major not in _OTHER_MAJOR_BRANDS and not _MP4_BRANDS.isdisjoint({major} | compatible)
