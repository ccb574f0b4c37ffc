"""What comes out of the API says where it comes from, and nobody can change a byte of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from safelight.media.provenance import verify
from safelight.node.chain import create_local_chain
from tests.delivery.house import KEYS, House
from tests.support.server import free_port, safelight

PROMPT = "canary-a7 lighthouse in a storm"
KINDS = {
    "png": ("still", {"output_format": "png"}),
    "jpeg": ("still", {"output_format": "jpeg"}),
    "webp": ("still", {"output_format": "webp"}),
    "drawn.png": ("drawn", {"output_format": "png"}),
    "trained.jpeg": ("trained", {"output_format": "jpeg"}),
    "mp4": ("clip", {}),
}


@pytest.fixture(scope="module")
def files(house: House, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of each kind, as a client has it."""
    folder = tmp_path_factory.mktemp("downloaded")
    found = {}
    for name, (model, more) in KINDS.items():
        made = house.video(model, PROMPT) if name == "mp4" else house.image(model, PROMPT, **more)
        found[name] = folder / f"file.{name}"
        found[name].write_bytes(house.get(made["data"][0]["url"]).content)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_verifies(house: House, files: dict[str, Path], kind: str) -> None:
    root = (house.server.data_dir / "provenance/root.pem").read_bytes()
    report = verify(files[kind], root)
    assert report.trusted and report.valid and not report.problems
    is_trained = kind.startswith("trained")
    assert report.digital_source_type == ("trainedAlgorithmicMedia" if is_trained else "algorithmicMedia")
    assert report.model == KINDS[kind][0] and report.generation_id.startswith("req-")
    assert report.prompt is None and b"canary-a7" not in files[kind].read_bytes()
    stranger, _, _ = create_local_chain("Somebody else")
    assert verify(files[kind], stranger).valid and not verify(files[kind], stranger).trusted


@pytest.mark.parametrize("kind", KINDS)
def test_no_thumbnail_is_in_the_manifest(files: dict[str, Path], kind: str) -> None:
    store = json.loads(reader(files[kind]).json())
    labels = [assertion["label"] for each in store["manifests"].values() for assertion in each["assertions"]]
    assert any(label.startswith("c2pa.actions") for label in labels)
    assert not any("thumbnail" in label for label in labels)
    assert not any("thumbnail" in each for each in store["manifests"].values())


def reader(path: Path) -> Any:
    types = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "mp4": "video/mp4"}
    return c2pa.Reader(types[path.suffix[1:]], path.open("rb"))


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_byte_of_media_is_seen(house: House, files: dict[str, Path], kind: str, tmp_path: Path) -> None:
    root = (house.server.data_dir / "provenance/root.pem").read_bytes()
    content = bytearray(files[kind].read_bytes())
    place = len(content) - 20 if kind != "mp4" else content.index(b"mdat") + 40
    content[place] ^= 1
    changed = tmp_path / files[kind].name
    changed.write_bytes(content)
    assert not verify(changed, root).valid


def test_the_command_tells_both(house: House, files: dict[str, Path], tmp_path: Path) -> None:
    good = house.cli("provenance", "verify", str(files["png"]), "--json")
    assert good.returncode == 0 and json.loads(good.stdout)["trusted"]
    content = bytearray(files["png"].read_bytes())
    content[-20] ^= 1
    changed = tmp_path / "changed.png"
    changed.write_bytes(content)
    bad = house.cli("provenance", "verify", str(changed))
    assert bad.returncode == 1 and "not valid" in bad.stdout


def test_the_prompt_is_told_only_where_that_is_wanted(house: House) -> None:
    folder = house.server.data_dir / "provenance"
    with house.beside({"SAFELIGHT_PROVENANCE_PROMPT": "on", "SAFELIGHT_PROVENANCE_DIR": str(folder)}) as telling:
        made = telling.image(prompt=PROMPT, output_format="png")
        path = house.server.data_dir / "told.png"
        path.write_bytes(telling.get(made["data"][0]["url"]).content)
    report = verify(path, (folder / "root.pem").read_bytes())
    assert report.trusted and report.prompt == PROMPT


def test_signing_may_be_off(house: House, tmp_path: Path) -> None:
    with house.beside({"SAFELIGHT_PROVENANCE": "off"}) as unsigned:
        made = unsigned.image(output_format="png")
        path = tmp_path / "file.png"
        path.write_bytes(unsigned.get(made["data"][0]["url"]).content)
        assert not (unsigned.server.data_dir / "provenance").exists()
    assert not verify(path, (house.server.data_dir / "provenance/root.pem").read_bytes()).present


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: expire(folder), "expired"),
        (lambda folder: (folder / "key.pem").write_bytes(create_local_chain("Another")[2]), "does not belong"),
        (lambda folder: (folder / "chain.pem").unlink(), "safelight provenance init"),
    ],
    ids=["expired", "another key", "no chain"],
)
def test_a_chain_that_cannot_sign_is_told_at_start(
    house: House, tmp_path: Path, spoil: Callable[[Path], Any], told: str
) -> None:
    folder = tmp_path / "provenance"
    folder.mkdir()
    for name, content in zip(("root.pem", "chain.pem", "key.pem"), create_local_chain("Tests"), strict=True):
        (folder / name).write_bytes(content)
    spoil(folder)
    env = {
        **house.env,
        "SAFELIGHT_SIGNING_KEYS": KEYS,
        "SAFELIGHT_PROVENANCE_DIR": str(folder),
        "SAFELIGHT_PORT": str(free_port()),
    }
    done = safelight("serve", "--data-dir", tmp_path / "data", env=env)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and told in lines[0], done.stderr


def expire(folder: Path) -> None:
    """The same chain, two days later than its end."""
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    leaf = x509.load_pem_x509_certificate((folder / "chain.pem").read_bytes())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now - timedelta(days=2))
    )
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    signed = builder.sign(key, hashes.SHA256())
    (folder / "chain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
