"""Every file says who made it, and a changed file does not verify (RELIABILITY 55 and 56)."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import c2pa
import msgspec
import pytest
import pyvips
from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from safelight import __version__
from safelight.domain.errors import ConfigurationError, ProvenanceError
from safelight.media import provenance
from safelight.media.measure import measure
from safelight.media.provenance import Provenance, ProvenanceReport, ProvenanceSigner, verify
from safelight.media.sniff import sniff
from safelight.node.chain import C2PA_CLAIM_SIGNING, certificate_expiry, create_local_chain
from tests.media.media_files import picture, save, write_clip

Chain = tuple[bytes, bytes, bytes]
CREATED_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SUFFIXES = ["png", "jpg", "webp", "mp4"]
MANIFEST = Provenance(
    mime_type="image/jpeg", digital_source_type="algorithmicMedia", model="a", generation_id="a", created_at=CREATED_AT
)


@pytest.fixture(scope="module", params=["es256", "ed25519"])
def chain(request: pytest.FixtureRequest) -> Chain:
    return create_local_chain("Example Studio", algorithm=request.param)


@pytest.fixture(scope="module")
def signer(chain: Chain) -> ProvenanceSigner:
    return ProvenanceSigner(chain[1], chain[2])


def make(folder: Path, suffix: str, *, width: int = 96) -> Path:
    path = folder / f"unsigned.{suffix}"
    return write_clip(path, sound=True) if suffix == "mp4" else save(picture(width, 64), path)


def sign(signer: ProvenanceSigner, source: Path, target: Path, **options: Any) -> Path:
    facts: dict[str, Any] = {
        "mime_type": options.get("mime_type") or sniff(source),
        "digital_source_type": "trainedAlgorithmicMedia",
        "model": "example-model",
        "generation_id": "req-01J0000000000000000000000A",
        "created_at": CREATED_AT,
    }
    as_file = options.pop("as_file", False)
    if facts["mime_type"] == "video/mp4" or as_file:
        signer.sign_file(source, target, Provenance(**facts | options))
    else:
        target.write_bytes(signer.sign(source.read_bytes(), Provenance(**facts | options)))
    return target


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_signed_file_tells_where_it_is_from(
    tmp_path: Path, chain: Chain, signer: ProvenanceSigner, suffix: str
) -> None:
    source = make(tmp_path, suffix)
    target = sign(signer, source, tmp_path / "signed")
    assert verify(target, chain[0]) == ProvenanceReport(
        present=True,
        valid=True,
        trusted=True,
        issuer="Example Studio",
        algorithm=verify(target, chain[0]).algorithm,
        digital_source_type="trainedAlgorithmicMedia",
        generator=f"Safelight {__version__}",
        title=f"req-01J0000000000000000000000A.{suffix}",
        model="example-model",
        generation_id="req-01J0000000000000000000000A",
        created_at="2026-03-01T12:30:00Z",
    )
    assert measure(target) == measure(source)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_overhead_is_small_and_holds_no_thumbnail(tmp_path: Path, signer: ProvenanceSigner, suffix: str) -> None:
    source = make(tmp_path, suffix)
    target = sign(signer, source, tmp_path / "signed")
    assert target.stat().st_size - source.stat().st_size < 4096
    assert b"c2pa.thumbnail" not in target.read_bytes()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_signing_changes_no_pixel(tmp_path: Path, signer: ProvenanceSigner, suffix: str) -> None:
    source = make(tmp_path, suffix, width=500)
    target = sign(signer, source, tmp_path / "signed")
    before, after = (pyvips.Image.new_from_file(str(path)) for path in (source, target))
    assert (before - after).abs().max() == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_flipped_bit_does_not_verify(tmp_path: Path, chain: Chain, signer: ProvenanceSigner, suffix: str) -> None:
    source = make(tmp_path, suffix)
    target = sign(signer, source, tmp_path / "signed")
    original, data = source.read_bytes(), target.read_bytes()
    for piece in (original[len(original) // 2 :][:8], original[-80:-72]):
        place = data.index(piece)
        changed = bytearray(data)
        changed[place] ^= 1
        target.write_bytes(changed)
        report = verify(target, chain[0])
        assert (report.present, report.valid, report.trusted) == (True, False, False)
        assert "Hash" in report.problems[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_changed_claim_does_not_verify(tmp_path: Path, chain: Chain, signer: ProvenanceSigner, suffix: str) -> None:
    target = sign(signer, make(tmp_path, suffix), tmp_path / "signed")
    data = target.read_bytes()
    assert data.count(b"example-model") == 1
    target.write_bytes(data.replace(b"example-model", b"another-model"))
    report = verify(target, chain[0])
    assert not report.valid
    assert not report.trusted
    assert report.problems


def test_another_root_is_not_trusted(tmp_path: Path, signer: ProvenanceSigner) -> None:
    """The other root has the very same name."""
    report = verify(sign(signer, make(tmp_path, "png"), tmp_path / "signed"), create_local_chain("Example Studio")[0])
    assert (report.present, report.valid, report.trusted) == (True, True, False)
    assert "untrusted" in report.problems[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_a_manifest(tmp_path: Path, chain: Chain, suffix: str) -> None:
    report = verify(make(tmp_path, suffix), chain[0])
    assert (report.present, report.valid, report.trusted) == (False, False, False)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"A" * 500])
def test_verifying_what_is_no_media_raises_nothing(tmp_path: Path, chain: Chain, body: bytes) -> None:
    (tmp_path / "file.png").write_bytes(body)
    report = verify(tmp_path / "file.png", chain[0])
    assert not report.valid
    assert report.problems


def test_the_prompt_is_told_only_when_given(tmp_path: Path, chain: Chain, signer: ProvenanceSigner) -> None:
    source = make(tmp_path, "png")
    silent = sign(signer, source, tmp_path / "silent")
    assert verify(silent, chain[0]).prompt is None
    told = sign(signer, source, tmp_path / "told", prompt='a fox, "quoted" – ünïcode 🦊')
    assert verify(told, chain[0]).prompt == 'a fox, "quoted" – ünïcode 🦊'


def test_the_time_is_told_in_utc(tmp_path: Path, chain: Chain, signer: ProvenanceSigner) -> None:
    elsewhere = CREATED_AT.astimezone(timezone(timedelta(hours=9)))
    target = sign(signer, make(tmp_path, "png"), tmp_path / "signed", created_at=elsewhere)
    assert verify(target, chain[0]).created_at == "2026-03-01T12:30:00Z"


def test_a_procedure_is_no_trained_model(tmp_path: Path, chain: Chain, signer: ProvenanceSigner) -> None:
    target = sign(signer, make(tmp_path, "png"), tmp_path / "signed", digital_source_type="algorithmicMedia")
    assert verify(target, chain[0]).digital_source_type == "algorithmicMedia"


def test_signing_again_replaces_the_manifest(tmp_path: Path, chain: Chain, signer: ProvenanceSigner) -> None:
    once = sign(signer, make(tmp_path, "png"), tmp_path / "once", model="first-model")
    twice = sign(signer, once, tmp_path / "twice", model="second-model")
    assert verify(twice, chain[0]).model == "second-model"
    assert b"first-model" not in twice.read_bytes()


def test_many_threads_share_a_signer(tmp_path: Path, chain: Chain, signer: ProvenanceSigner) -> None:
    sources = [make(tmp_path, suffix) for suffix in SUFFIXES]

    def work(number: int) -> ProvenanceReport:
        target = tmp_path / f"signed-{number}"
        sign(signer, sources[number % 4], target, generation_id=f"req-{number}")
        return verify(target, chain[0])

    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(work, range(64)))
    assert all(report.trusted for report in reports)
    assert [report.generation_id for report in reports] == [f"req-{number}" for number in range(64)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_need_not_be_in_memory(tmp_path: Path, chain: Chain, signer: ProvenanceSigner, suffix: str) -> None:
    source = make(tmp_path, suffix)
    target = sign(signer, source, tmp_path / "signed", as_file=True)
    assert verify(target, chain[0]).trusted
    assert measure(target) == measure(source)


@pytest.mark.parametrize("mime_type", ["image/png", "image/jpeg", "image/webp", "video/mp4"])
def test_what_cannot_be_signed_leaves_nothing(tmp_path: Path, signer: ProvenanceSigner, mime_type: str) -> None:
    source, target = tmp_path / "page", tmp_path / "signed"
    source.write_text("<html>" * 100)
    with pytest.raises(ProvenanceError, match=r"could not be signed: .+"):
        sign(signer, source, target, mime_type=mime_type, as_file=True)
    with pytest.raises(ProvenanceError, match=r"could not be signed: .+"):
        sign(signer, source, target, mime_type=mime_type)
    with pytest.raises(ProvenanceError):
        sign(signer, tmp_path / "absent", target, mime_type=mime_type, as_file=True)
    assert not target.exists()


@pytest.mark.parametrize("uses_templates", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_a_provenance_error(tmp_path: Path, chain: Chain, suffix: str, uses_templates: bool) -> None:
    signer = ProvenanceSigner(chain[1], chain[2])
    if not uses_templates:
        signer.sign_by_library()
    source, target = make(tmp_path, suffix), tmp_path / "signed"
    target.symlink_to("/dev/full")
    with pytest.raises(ProvenanceError, match="could not be signed"):
        sign(signer, source, target, as_file=True)
    assert not target.is_symlink()


def test_the_manifest_follows_the_specification(tmp_path: Path, chain: Chain, signer: ProvenanceSigner) -> None:
    target = sign(signer, make(tmp_path, "png"), tmp_path / "signed")
    with target.open("rb") as file, c2pa.Reader("image/png", file) as reader:
        store = msgspec.json.decode(reader.detailed_json())
    (manifest,) = store["manifests"].values()
    created = [assertion["url"].split("/")[-1] for assertion in manifest["claim"]["created_assertions"]]
    assert sorted(created) == ["c2pa.actions.v2", "c2pa.hash.data"]
    (action,) = manifest["assertion_store"]["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"] == ("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia")
    assert action["softwareAgent"] == {"name": "Safelight", "version": __version__}


def test_the_local_chain_fits_the_c2pa_profile(chain: Chain) -> None:
    root = x509.load_pem_x509_certificate(chain[0])
    (leaf,) = x509.load_pem_x509_certificates(chain[1])
    leaf.verify_directly_issued_by(root)
    extension = leaf.extensions.get_extension_for_class
    usage = extension(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not extension(x509.BasicConstraints).value.ca
    assert C2PA_CLAIM_SIGNING in extension(x509.ExtendedKeyUsage).value
    root_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert extension(x509.AuthorityKeyIdentifier).value.key_identifier == root_id
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate_expiry(chain[1]) - datetime.now(UTC) > timedelta(days=3000)


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="does not belong"):
        ProvenanceSigner(create_local_chain("One")[1], create_local_chain("Two")[2])


def test_what_is_no_pem_is_refused(chain: Chain) -> None:
    with pytest.raises(ConfigurationError, match="chain"):
        ProvenanceSigner(b"nothing", chain[2])
    with pytest.raises(ConfigurationError, match="key"):
        ProvenanceSigner(chain[1], b"nothing")
    with pytest.raises(ConfigurationError):
        certificate_expiry(b"nothing")


def test_an_expired_certificate_is_told_at_once() -> None:
    _, chain, key = create_local_chain("Example", days=0)
    assert certificate_expiry(chain) < datetime.now(UTC) + timedelta(seconds=1)
    with pytest.raises(ConfigurationError, match="cannot sign"):
        ProvenanceSigner(chain, key)


@pytest.mark.parametrize(("usage", "fit"), [("1.3.6.1.5.5.7.3.1", False), ("1.3.6.1.5.5.7.3.36", True)])
def test_a_certificate_has_to_be_fit_for_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usage: str, fit: bool
) -> None:
    """One for a web server is refused, one for documents is not."""
    monkeypatch.setattr("safelight.node.chain._USAGES", [ObjectIdentifier(usage)])
    root, chain, key = create_local_chain("Example")
    if fit:
        target = sign(ProvenanceSigner(chain, key), make(tmp_path, "png"), tmp_path / "signed")
        assert verify(target, root).trusted
    else:
        with pytest.raises(ConfigurationError, match="cannot sign"):
            ProvenanceSigner(chain, key)


@pytest.fixture
def listener() -> Iterator[tuple[str, list[socket.socket]]]:
    """An HTTP address on this machine, and the connections that came in."""
    callers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    callers.append(caller)
                    caller.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", callers
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_timestamp_authority_is_asked_only_when_configured(
    tmp_path: Path, chain: Chain, listener: tuple[str, list[socket.socket]]
) -> None:
    url, callers = listener
    asking = ProvenanceSigner(chain[1], chain[2], timestamp_url=url)
    assert not callers
    with pytest.raises(ProvenanceError):
        sign(asking, make(tmp_path, "png"), tmp_path / "signed")
    assert callers


def test_verifying_asks_nobody(tmp_path: Path, chain: Chain, listener: tuple[str, list[socket.socket]]) -> None:
    """A file whose manifest is said to lie elsewhere."""
    url, callers = listener
    algorithm = provenance._algorithm(chain[1], chain[2])
    source, target = make(tmp_path, "jpg"), tmp_path / "remote.jpg"
    with provenance._signing_context(algorithm, chain[1], chain[2], None) as context:
        builder = c2pa.Builder(MANIFEST.manifest(), context)
        builder.set_no_embed()
        builder.set_remote_url(url)
        with source.open("rb") as original, target.open("w+b") as signed:
            builder.sign("image/jpeg", original, signed)
    assert url.encode() in target.read_bytes()
    report = verify(target, chain[0])
    assert (report.valid, report.trusted) == (False, False)
    assert not callers
