"""A clip signed from a template is the library's own, byte for byte beside the manifest, and shows what it showed."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.errors import ProvenanceError
from safelight.media import embedding, provenance
from safelight.media.boxes import Box, box, boxes_in
from safelight.media.embedding import SMALLEST_CLIP, Gap, gap
from safelight.media.provenance import ProvenanceSigner, verify
from safelight.media.remux import strip_clip
from tests.media import plants
from tests.media.manifests import CHAIN, KEY, LIBRARY, ROOT, SIGNER, assert_reads_alike, facts, sign
from tests.media.media_files import write_clip

MP4 = "video/mp4"
TABLE = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def made(**options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_clip(Path(folder) / "clip.mp4", **options).read_bytes()


def stripped(**options: Any) -> bytes:
    """As files come to be signed."""
    with tempfile.TemporaryDirectory() as folder:
        strip_clip(write_clip(Path(folder) / "clip.mp4", **options), Path(folder) / "bare.mp4")
        return (Path(folder) / "bare.mp4").read_bytes()


def in_index(data: bytes, path: tuple[bytes, ...], planted: bytes) -> bytes:
    """With a box more in an index that is the last."""
    at = data.rindex(b"moov") - 4
    return data[:at] + plants._into(data[at:], path, planted)


def replaced(data: bytes, old: bytes, new: Callable[[bytes], bytes]) -> bytes:
    """With other boxes for those of one name in the tables of an index that is the last."""

    def within(inner: bytes, path: tuple[bytes, ...]) -> bytes:
        whole = next(boxes_in(inner))
        parts = []
        for each in boxes_in(inner, whole.content, whole.end):
            part = inner[each.begin : each.end]
            if path and each.name == path[0]:
                part = within(part, path[1:])
            elif not path and each.name == old:
                part = new(part)
            parts.append(part)
        return box(whole.name, *parts)

    at = data.rindex(b"moov") - 4
    return data[:at] + within(data[at:], TABLE[1:])


def as_co64(table: bytes, by: int = 0) -> bytes:
    return box(b"co64", table[8:16], (np.frombuffer(table, ">u4", offset=16) + by).astype(">u8").tobytes())


def with_wide_index_first() -> bytes:
    data = made(sound=True, movflags="")
    ahead = len(replaced(data, b"stco", as_co64)) - data.rindex(b"moov") + 4
    data = replaced(data, b"stco", functools.partial(as_co64, by=ahead))
    return data[:32] + data[-ahead:] + data[32:-ahead]


def coded(codec: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, av.open(f"{folder}/clip.mp4", "w", format="mp4") as output:
        video = output.add_stream(codec, rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * index, np.uint8))
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        output.close()
        return Path(f"{folder}/clip.mp4").read_bytes()


CLIPS: dict[str, Callable[[], bytes]] = {
    "index first": lambda: made(sound=True),
    "index last": lambda: made(sound=True, movflags=""),
    "without sound": lambda: made(),
    "one frame": lambda: made(frames=1),
    "turned": lambda: made(rotation=90),
    "without the coder's name": lambda: stripped(sound=True),
    "MPEG-4": lambda: coded("mpeg4"),
    "with names": lambda: in_index(
        made(movflags=""), TABLE[:2], box(b"udta", box(b"name", b"a clip"), box(b"free", b"12345"))
    ),
    "with gaps": lambda: (
        in_index(made(movflags=""), TABLE, box(b"free", b"y")) + box(b"free", bytes(9)) + box(b"skip", b"x")
    ),
    "two rows of frames": lambda: made(sound=True) + box(b"mdat", b"and no more"),
    "places of 64 bits": lambda: replaced(made(sound=True, movflags=""), b"stco", as_co64),
    "places of 64 bits, index first": with_wide_index_first,
    "smallest": lambda: SMALLEST_CLIP,
}


@functools.cache
def clip(name: str) -> bytes:
    return CLIPS[name]()


every_clip = pytest.mark.parametrize("name", CLIPS)


def parted(data: bytes, store_bytes: int = 1000) -> Gap | None:
    return gap(BytesIO(data), MP4, store_bytes)


def signed_file(signer: ProvenanceSigner, data: bytes, folder: Path, **options: Any) -> bytes:
    (folder / "clip").write_bytes(data)
    signer.sign_file(folder / "clip", folder / "signed", facts(MP4, **options))
    return (folder / "signed").read_bytes()


def without_manifest(signed: bytes) -> bytes:
    first, manifest, *_ = boxes_in(signed)
    assert manifest.name == b"uuid"
    return signed[: first.end] + signed[manifest.end :]


def coded_frames(data: bytes) -> list[tuple[Any, ...]]:
    """Each packet with its place, which has to hold it."""
    with av.open(BytesIO(data), format="mp4") as container:
        packets = [packet for packet in container.demux() if packet.size]
        for packet in packets:
            assert data[packet.pos : packet.pos + packet.size] == bytes(packet)
        return [(each.stream_index, each.pos, each.pts, each.dts, each.duration, bytes(each)) for each in packets]


def frames(data: bytes) -> list[bytes]:
    with av.open(BytesIO(data), format="mp4") as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode()]


@every_clip
@pytest.mark.parametrize("prompt", [None, "a fox"])
def test_it_is_the_library_s_own(name: str, prompt: str | None, tmp_path: Path) -> None:
    data = clip(name)
    assert SIGNER.uses_templates
    assert parted(data) is not None
    mine, its = (signed_file(signer, data, tmp_path, prompt=prompt) for signer in (SIGNER, LIBRARY))
    assert_reads_alike(mine, its, MP4)
    assert len(mine) == len(its)
    assert without_manifest(mine) == without_manifest(its)
    assert_reads_alike(sign(SIGNER, data, MP4, prompt=prompt), its, MP4)


@every_clip
def test_it_shows_what_it_showed(name: str, tmp_path: Path) -> None:
    data = clip(name)
    signed = signed_file(SIGNER, data, tmp_path)
    if name == "smallest":
        assert signed.count((200 + len(signed) - len(data)).to_bytes(4)) == 2
        return
    grown = len(signed) - len(data)
    before, after = coded_frames(data), coded_frames(signed)
    assert [(index, at + grown, *rest) for index, at, *rest in before] == after
    assert frames(data) == frames(signed)


@pytest.mark.parametrize("prompt", ["", "\U0001f98a" * 4096, "z" * 130_000])
def test_prompts_of_any_length(prompt: str) -> None:
    data = clip("index first")
    assert_reads_alike(*(sign(signer, data, MP4, prompt=prompt) for signer in (SIGNER, LIBRARY)), MP4)


@pytest.mark.parametrize("name", ["index first", "index last", "places of 64 bits"])
def test_a_changed_byte_is_noticed_wherever_it_is(name: str) -> None:
    """But in ``ftyp`` and gaps, which the standard leaves out; there, and in the manifest, no other thing is said."""
    signed = sign(SIGNER, clip(name), MP4, prompt="a fox")
    told = provenance._read(BytesIO(signed), MP4, ROOT)
    assert told.trusted
    rows = {row.name: row for row in boxes_in(signed)}
    chosen = random.Random(7)
    tables = [at for kind in (b"stco", b"co64") for at in places_of(signed, kind)]
    hashed = [at for row in (b"moov", b"mdat") for at in range(rows[row].begin, rows[row].end)]
    others = [at for row in (b"ftyp", b"free", b"uuid") for at in range(rows[row].begin, rows[row].end)]
    for at in (*tables[::9], *chosen.sample(hashed, 90), *others[::13]):
        changed = bytearray(signed)
        changed[at] ^= 1 << chosen.randrange(8)
        report = provenance._read(BytesIO(bytes(changed)), MP4, ROOT)
        is_hashed = any(rows[row].begin <= at < rows[row].end for row in (b"moov", b"mdat"))
        assert not report.trusted or (not is_hashed and report == told), at


def places_of(data: bytes, kind: bytes) -> list[int]:
    """Where the bytes of the tables of chunks lie."""
    places, at = [], data.find(kind)
    while at >= 0:
        places += range(at + 12, at - 4 + int.from_bytes(data[at - 4 : at]))
        at = data.find(kind, at + 4)
    return places


def test_a_chunk_that_is_said_to_lie_elsewhere_is_noticed() -> None:
    """The very change that makes a player show other frames."""
    signed = bytearray(sign(SIGNER, clip("index first"), MP4))
    at = signed.index(b"stco") + 12
    signed[at : at + 4], signed[at + 4 : at + 8] = signed[at + 4 : at + 8], signed[at : at + 4]
    assert not provenance._read(BytesIO(bytes(signed)), MP4, ROOT).valid


def long_size(data: bytes, name: bytes) -> bytes:
    """The last box, with a size of 64 bits."""
    at = data.rindex(name) - 4
    return data[:at] + b"\0\0\0\1" + name + (len(data) - at + 8).to_bytes(8) + data[at + 8 :]


def open_size(data: bytes, name: bytes) -> bytes:
    """The last box, said to go up to the end of the file."""
    at = data.rindex(name) - 4
    return data[:at] + bytes(4) + data[at + 4 :]


def far(table: bytes) -> bytes:
    return table[:-4] + (0xFFFFFFF0).to_bytes(4)


NOT_PLAIN: dict[str, Callable[[], bytes]] = {
    "in fragments": lambda: made(movflags="frag_keyframe+empty_moov", sound=True),
    "in fragments with an index": lambda: made(movflags="frag_keyframe+empty_moov+global_sidx"),
    "for DASH": lambda: made(movflags="dash+frag_keyframe"),
    "signed already": lambda: sign(SIGNER, clip("index first"), MP4, model="first-model"),
    "another's box": lambda: clip("index first") + box(b"uuid", bytes(20)),
    "items": lambda: clip("index first") + box(b"meta", bytes(4), box(b"hdlr", bytes(25))),
    "a box in the index": lambda: in_index(clip("index last"), TABLE[:2], box(b"CNRY", b"words")),
    "auxiliary data": lambda: in_index(clip("index last"), TABLE, box(b"saio", bytes(7), b"\1", bytes(4))),
    "64 bits of size": lambda: long_size(clip("index first"), b"mdat"),
    "no size": lambda: open_size(clip("index first"), b"mdat"),
    "places too far": lambda: replaced(clip("index last"), b"stco", far),
    "a table cut short": lambda: replaced(clip("index last"), b"stco", lambda table: box(b"stco", table[8:-4])),
    "a table without its count": lambda: replaced(clip("index last"), b"stco", lambda table: box(b"stco", bytes(4))),
    "a table too long": lambda: replaced(clip("index last"), b"stco", lambda table: box(b"stco", table[8:], bytes(4))),
    "two indices": lambda: clip("index last") + clip("index last")[clip("index last").rindex(b"moov") - 4 :],
    "two beginnings": lambda: clip("index first") + clip("index first")[:32],
    "a gap first": lambda: box(b"free") + clip("index first"),
    "no index": lambda: clip("index last")[: clip("index last").rindex(b"moov") - 4],
    "no media data": lambda: clip("index first")[: clip("index first").index(b"mdat") - 4],
    "cut off": lambda: clip("index first")[:-1],
    "cut in a header": lambda: clip("index first") + b"\0\0\0",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_the_library(name: str, tmp_path: Path) -> None:
    data = NOT_PLAIN[name]()
    assert parted(data) is None

    def outcome(signer: ProvenanceSigner) -> bytes | str:
        try:
            return signed_file(signer, data, tmp_path, model="second-model")
        except ProvenanceError as error:
            assert not (tmp_path / "signed").exists()
            return str(error)

    mine, its = outcome(SIGNER), outcome(LIBRARY)
    if isinstance(its, bytes) and provenance._read(BytesIO(its), MP4, ROOT).trusted:
        assert isinstance(mine, bytes)
        assert_reads_alike(mine, its, MP4)
        assert b"first-model" not in mine
    else:
        assert type(mine) is type(its)


def test_some_of_those_the_library_signs(tmp_path: Path) -> None:
    for name in ("in fragments", "signed already", "another's box"):
        signed_file(SIGNER, NOT_PLAIN[name](), tmp_path)
        assert verify(tmp_path / "signed", ROOT).trusted


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_damaged_is_left_to_the_library_or_reads_well(data: st.DataObject) -> None:
    """Sizes, names and counts of boxes are changed, and pieces cut out, doubled and put in."""
    name = data.draw(st.sampled_from(["index first", "index last", "with gaps", "places of 64 bits"]))
    file = bytearray(clip(name))
    heads = headers(bytes(file))
    for _ in range(data.draw(st.integers(1, 3))):
        at = min(data.draw(st.sampled_from(heads)), len(file))
        match data.draw(st.sampled_from(["number", *["byte"] * 6, "name", "cut", "doubled", "put in", "end"])):
            case "number":
                value = data.draw(st.sampled_from([0, 1, 7, 8, 9, 16, 0x7FFFFFFF, 0xFFFFFFFF]))
                file[at : at + 4] = value.to_bytes(4)
            case "byte":
                place = at + data.draw(st.integers(0, 60))
                file[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "name":
                kinds = [b"moov", b"trak", b"stbl", b"stco", b"co64", b"free", b"mdat", b"udta", b"meta", b"moof"]
                file[at + 4 : at + 8] = data.draw(st.sampled_from(kinds))
            case "cut":
                del file[at : at + data.draw(st.integers(1, 40))]
            case "doubled":
                file[at:at] = file[at : at + data.draw(st.integers(1, 400))]
            case "put in":
                file[at:at] = data.draw(st.binary(min_size=1, max_size=24))
            case "end":
                del file[at:]
    place = parted(bytes(file))
    if place is not None:
        assert provenance._read(BytesIO(sign(SIGNER, bytes(file), MP4)), MP4, ROOT).trusted


@functools.cache
def headers(data: bytes) -> list[int]:
    """Where boxes begin, down to the tables."""

    def within(row: Box) -> list[int]:
        if row.name not in embedding._MP4_INSIDE:
            return [row.begin]
        skipped = 4 if row.name == b"meta" else 0
        return [row.begin, *(at for each in boxes_in(data, row.content + skipped, row.end) for at in within(each))]

    return [at for row in boxes_in(data) for at in within(row)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_clip_are_left_to_the_library(data: bytes) -> None:
    assert parted(data) is None
    assert parted(clip("smallest")[:20] + data) is None


class Watched(BytesIO):
    most = total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.most, self.total = max(self.most, len(piece)), self.total + len(piece)
        return piece


def test_a_clip_is_read_once_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large it is, so much of it is in memory."""
    monkeypatch.setattr(embedding, "_MP4_PIECE_BYTES", 1000)
    data = clip("index last")
    file = Watched(data)
    template = SIGNER._templates[MP4, False]
    signed = BytesIO()
    assert template.sign(file, signed, facts(MP4).texts(), SIGNER._key_signs)
    assert file.most == 1000
    assert file.total <= len(data) + 16 * 8
    assert_reads_alike(signed.getvalue(), sign(LIBRARY, data, MP4), MP4)


def test_an_index_that_is_too_large_for_memory_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_MP4_INDEX_BYTES", 1000)
    assert parted(clip("index first")) is None


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a signature on a part of it."""
    path = tmp_path / "clip"
    path.write_bytes(clip("index first"))
    with path.open("rb") as file:
        place = gap(file, MP4, 1000)
        assert place is not None
        os.truncate(path, 15_000)
        with pytest.raises(OSError, match="shorter"):
            list(place.after(hashlib.sha256()))

    def short(source: Any, *others: Any) -> Any:
        place = gap(source, *others)
        os.truncate(path, 14_000)
        return place

    path.write_bytes(clip("index first"))
    monkeypatch.setattr("safelight.media.manifest_template.gap", short)
    monkeypatch.setattr(provenance, "_BUFFER_BYTES", 1000)
    with pytest.raises(ProvenanceError, match="shorter"):
        SIGNER.sign_file(path, tmp_path / "signed", facts(MP4))
    assert not (tmp_path / "signed").exists()


def test_other_rules_of_the_library_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new version of it may bring: here one more kind of box that is not hashed, and another place."""
    with monkeypatch.context() as patched:
        patched.setattr(embedding, "_MP4_FREE", frozenset({b"free"}))
        assert not ProvenanceSigner(CHAIN, KEY).uses_templates
    with monkeypatch.context() as patched:
        patched.setattr(embedding, "_moved", lambda index, by: index)
        assert not ProvenanceSigner(CHAIN, KEY).uses_templates
    assert ProvenanceSigner(CHAIN, KEY).uses_templates
