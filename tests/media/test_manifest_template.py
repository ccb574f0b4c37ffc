"""What is signed from a template reads like what the C2PA library signs by itself, and holds as fast."""

import hashlib
import random
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.errors import ConfigurationError
from safelight.domain.media import EXTENSION_OF_MIME, MimeType
from safelight.media import embedding, manifest_template, provenance
from safelight.media.embedding import SMALLEST_CLIP, Gap
from safelight.media.manifest_template import Pieces, UnknownLayout
from safelight.media.provenance import ProvenanceSigner
from safelight.node.chain import create_local_chain
from tests.media.manifests import (
    CHAIN,
    KEY,
    LIBRARY,
    ROOT,
    SIGNER,
    assert_reads_alike,
    by_library,
    facts,
    made_chain,
    read,
    sign,
)

SUFFIXES: dict[MimeType, str] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
every_format = pytest.mark.parametrize("mime_type", SUFFIXES)


def picture(mime_type: MimeType, width: int = 40, height: int = 30, **options: Any) -> bytes:
    noise = pyvips.Image.gaussnoise(width, height, seed=1).cast("uchar")
    return bytes(noise.write_to_buffer(SUFFIXES[mime_type], keep="none", **options))


def gap(data: bytes, mime_type: MimeType, store_bytes: int) -> Gap | None:
    return embedding.gap(BytesIO(data), mime_type, store_bytes)


@every_format
@pytest.mark.parametrize("prompt", [None, "", "a fox", "\U0001f98a" * 4096, "y" * 62_600, "y" * 62_700, "z" * 130_000])
def test_it_reads_like_the_library_s_own(mime_type: MimeType, prompt: str | None) -> None:
    assert SIGNER.uses_templates
    data = picture(mime_type)
    mine, its = (sign(signer, data, mime_type, prompt=prompt) for signer in (SIGNER, LIBRARY))
    assert len(mine) == len(its)
    assert_reads_alike(mine, its, mime_type)


@every_format
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 99), (900, 700)])
def test_sizes(mime_type: MimeType, width: int, height: int) -> None:
    data = picture(mime_type, width, height)
    signed = sign(SIGNER, data, mime_type)
    assert_reads_alike(signed, sign(LIBRARY, data, mime_type), mime_type)
    before, after = (pyvips.Image.new_from_buffer(each, "") for each in (data, signed))
    assert (before - after).abs().max() == 0


@pytest.mark.parametrize(("mime_type", "options"), [("image/png", {"compression": 0}), ("image/jpeg", {"Q": 100})])
def test_pictures_of_several_megabytes(mime_type: MimeType, options: dict[str, int]) -> None:
    data = picture(mime_type, 2600, 1600, **options)
    assert len(data) > 3_000_000
    assert_reads_alike(sign(SIGNER, data, mime_type), sign(LIBRARY, data, mime_type), mime_type)


@every_format
def test_nothing_else_of_the_file_changes(mime_type: MimeType) -> None:
    data = picture(mime_type)
    place = gap(data, mime_type, 1000)
    assert place is not None
    after = b"".join(place.after(hashlib.sha256()))
    assert not after or data.endswith(after.rstrip(b"\0"))
    signed = place.head(bytes(1000)) + after
    without = signed[: len(place.before)] + signed[len(place.before) + place.excluded_bytes :]
    head = 8 if mime_type == "image/webp" else 0  # the size of the whole
    assert without[head:] == data[head:]


@settings(max_examples=60, deadline=None)
@given(
    mime_type=st.sampled_from(list(SUFFIXES)),
    model=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    generation_id=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    prompt=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4096),
    source_type=st.sampled_from(["trainedAlgorithmicMedia", "algorithmicMedia"]),
    seconds=st.integers(0, 2_000_000_000),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_whatever_is_said_is_read(
    mime_type: MimeType,
    model: str,
    generation_id: str,
    prompt: str | None,
    source_type: Any,
    seconds: int,
    size: tuple[int, int],
) -> None:
    created_at = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    facts = {"model": model, "generation_id": generation_id, "prompt": prompt, "created_at": created_at}
    signed = sign(SIGNER, picture(mime_type, *size), mime_type, digital_source_type=source_type, **facts)
    report = provenance._read(BytesIO(signed), mime_type, ROOT)
    assert report.trusted
    assert (report.model, report.generation_id, report.prompt) == (model, generation_id, prompt)
    assert report.created_at == f"{created_at:%Y-%m-%dT%H:%M:%SZ}"
    assert (report.digital_source_type, report.title) == (source_type, f"{generation_id}{_extension(mime_type)}")


def _extension(mime_type: MimeType) -> str:
    return "." + EXTENSION_OF_MIME[mime_type]


@every_format
def test_a_changed_byte_is_noticed_wherever_it_is(mime_type: MimeType) -> None:
    """Outside the manifest nothing may change; inside it no change may be trusted and say something else."""
    data = picture(mime_type)
    signed = sign(SIGNER, data, mime_type, prompt="a fox")
    store = LIBRARY._sign_by_library(data, facts(mime_type, prompt="a fox"))[1]
    place = gap(data, mime_type, len(store))
    assert place is not None
    begin, end = len(place.before), len(place.before) + place.excluded_bytes
    told = provenance._read(BytesIO(signed), mime_type, ROOT)
    chosen = random.Random(7)
    for at in (*range(begin, end, 11), *chosen.sample([*range(begin), *range(end, len(signed))], 60)):
        changed = bytearray(signed)
        changed[at] ^= 1 << chosen.randrange(8)
        report = provenance._read(BytesIO(bytes(changed)), mime_type, ROOT)
        inside = begin <= at < end
        assert not report.trusted or (inside and report == told), at


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "Ed25519"])
@pytest.mark.parametrize("length", [1, 2])
def test_keys_and_chains(kind: str, length: int) -> None:
    """``length`` certificates under the root."""
    root, chain, key = made_chain(kind, length)
    signer, library = ProvenanceSigner(chain, key), by_library(chain, key)
    assert signer.uses_templates
    files = {mime_type: picture(mime_type) for mime_type in SUFFIXES} | {"video/mp4": SMALLEST_CLIP}
    for mime_type, data in files.items():
        assert_reads_alike(sign(signer, data, mime_type), sign(library, data, mime_type), mime_type, root)


def test_no_two_files_share_an_id_a_label_or_a_salt() -> None:
    stores = [read(sign(SIGNER, picture("image/png"), "image/png"), "image/png")[0] for _ in range(5)]
    assert len({store["active_manifest"] for store in stores}) == 5
    assert len({store["manifests"][store["active_manifest"]]["instance_id"] for store in stores}) == 5
    files = [sign(SIGNER, picture("image/png"), "image/png") for _ in range(5)]
    salts = [file[file.index(b"c2sh") + 4 :][:16] for file in files]
    assert len(set(salts)) == 5


def test_another_layout_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new version of it may bring."""
    monkeypatch.setattr(manifest_template, "_SALT", b"\0\0\0\x18c2xx")
    signer = ProvenanceSigner(CHAIN, KEY)
    assert not signer.uses_templates
    assert provenance._read(BytesIO(sign(signer, picture("image/jpeg"), "image/jpeg")), "image/jpeg", ROOT).trusted


def test_a_template_that_signs_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_template, "_to_be_signed", lambda protected, claim: protected + claim)
    assert not ProvenanceSigner(CHAIN, KEY).uses_templates


def test_a_key_that_does_not_belong_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        ProvenanceSigner(CHAIN, create_local_chain("Other")[2])


@every_format
def test_what_is_not_plain_is_left_to_the_library(mime_type: MimeType) -> None:
    data = picture(mime_type)
    signed = sign(SIGNER, data, mime_type)
    assert gap(signed, mime_type, 10) is None
    assert gap(data[:-1], mime_type, 10) is None
    assert gap(b"", mime_type, 10) is None
    assert gap(data, "video/mp4", 10) is None
    again = sign(SIGNER, signed, mime_type, model="second-model")
    assert provenance._read(BytesIO(again), mime_type, ROOT).model == "second-model"
    assert b"example-model" not in again


def test_a_value_is_found_once_or_not_at_all() -> None:
    with pytest.raises(UnknownLayout):
        Pieces.cut(b"abcabc", {"one": b"abc"})
    with pytest.raises(UnknownLayout):
        Pieces.cut(b"abcdef", {"one": b"abc", "two": b"bcd"})
    assert Pieces.cut(b"abcdef", {"two": b"f", "one": b"bc"}).filled({"one": b"12345", "two": b""}) == b"a12345de"
