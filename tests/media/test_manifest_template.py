"""What is signed from a template reads like what the C2PA library signs by itself, and holds as fast."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import c2pa
import msgspec
import pytest
import pyvips
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.errors import ConfigurationError
from safelight.domain.media import EXTENSION_OF_MIME, MimeType
from safelight.media import manifest_template, provenance
from safelight.media.embedding import gap
from safelight.media.manifest_template import Pieces, UnknownLayout
from safelight.media.provenance import Provenance, ProvenanceSigner
from safelight.node import chain as chains
from safelight.node.chain import create_local_chain

CREATED_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SUFFIXES: dict[MimeType, str] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
ROOT, CHAIN, KEY = create_local_chain("Example Studio")
SIGNER, LIBRARY = ProvenanceSigner(CHAIN, KEY), ProvenanceSigner(CHAIN, KEY)
LIBRARY.sign_by_library()
NEW = {"instance_id", "instanceID", "label", "active_manifest", "hash", "pad", "length"}
every_format = pytest.mark.parametrize("mime_type", SUFFIXES)


def picture(mime_type: MimeType, width: int = 40, height: int = 30, **options: Any) -> bytes:
    noise = pyvips.Image.gaussnoise(width, height, seed=1).cast("uchar")
    return bytes(noise.write_to_buffer(SUFFIXES[mime_type], keep="none", **options))


def sign(signer: ProvenanceSigner, data: bytes, mime_type: MimeType, **options: Any) -> bytes:
    facts: dict[str, Any] = {
        "digital_source_type": "trainedAlgorithmicMedia",
        "model": "example-model",
        "generation_id": "req-01J0000000000000000000000A",
        "created_at": CREATED_AT,
    }
    return signer.sign(data, Provenance(mime_type=mime_type, **facts | options))


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


@every_format
def test_nothing_else_of_the_file_changes(mime_type: MimeType) -> None:
    data = picture(mime_type)
    place = gap(data, mime_type, 1000)
    assert place is not None
    assert not place.after or data.endswith(bytes(place.after).rstrip(b"\0"))
    signed = place.filled(bytes(1000))
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
    place = gap(data, mime_type, len(SIGNER_STORES[mime_type]()))
    assert place is not None
    begin, end = len(place.before), len(signed) - len(place.after)
    told = provenance._read(BytesIO(signed), mime_type, ROOT)
    chosen = random.Random(7)
    for at in (*range(begin, end, 11), *chosen.sample([*range(begin), *range(end, len(signed))], 60)):
        changed = bytearray(signed)
        changed[at] ^= 1 << chosen.randrange(8)
        report = provenance._read(BytesIO(bytes(changed)), mime_type, ROOT)
        inside = begin <= at < end
        assert not report.trusted or (inside and report == told), at


def _store(mime_type: MimeType) -> Callable[[], bytes]:
    facts = Provenance(
        mime_type=mime_type,
        digital_source_type="trainedAlgorithmicMedia",
        model="example-model",
        generation_id="req-01J0000000000000000000000A",
        created_at=CREATED_AT,
        prompt="a fox",
    )
    return lambda: LIBRARY._sign_by_library(picture(mime_type), facts)[1]


SIGNER_STORES = {mime_type: _store(mime_type) for mime_type in SUFFIXES}


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "Ed25519"])
@pytest.mark.parametrize("length", [1, 2])
def test_keys_and_chains(kind: str, length: int) -> None:
    """``length`` certificates under the root."""
    root, chain, key = made_chain(kind, length)
    signer, library = ProvenanceSigner(chain, key), ProvenanceSigner(chain, key)
    library.sign_by_library()
    assert signer.uses_templates
    for mime_type in SUFFIXES:
        data = picture(mime_type)
        assert_reads_alike(sign(signer, data, mime_type), sign(library, data, mime_type), mime_type, root)


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
