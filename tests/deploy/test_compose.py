"""The container files, judged by others' readers, and held to what the documentation promises of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from compose_spec import PyCompose

from safelight.node.settings import Settings, setting_names
from tests.deploy import compose
from tests.deploy.engine import CONTAINERFILE

SECRETS = {"POSTGRES_PASSWORD": "p", "S3_SECRET_KEY": "s", "SAFELIGHT_SIGNING_KEYS": "k1:00"}
FILES = ("compose.yaml", "compose.cluster.yaml")


def ours(name: str) -> dict[str, Any]:
    services = compose.read(name, SECRETS)["services"]
    return {each: service for each, service in services.items() if service["image"] == "safelight"}


def test_the_containerfile_passes_its_linter() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, CONTAINERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_of_the_specification(name: str) -> None:
    document = compose.read(name, SECRETS)
    assert set(PyCompose.from_json(json.dumps(document)).service_names()) == set(document["services"])


@pytest.mark.parametrize("name", FILES)
def test_each_of_our_services_can_write_nothing_and_become_nothing(name: str) -> None:
    assert ours(name)
    for service in ours(name).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert compose.grace_seconds(service) > Settings().shutdown_seconds


@pytest.mark.parametrize("name", FILES)
def test_every_setting_exists(name: str) -> None:
    for service in ours(name).values():
        named = {
            key.removeprefix("SAFELIGHT_").lower() for key in service["environment"] if key.startswith("SAFELIGHT")
        }
        assert named <= set(setting_names())


def test_nothing_starts_without_its_secrets() -> None:
    with pytest.raises(KeyError, match=r"run deploy/compose/secrets\.sh first"):
        compose.read("compose.cluster.yaml", {})


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    folder = shutil.copytree(compose.FOLDER, tmp_path / "compose")
    (folder / ".env").unlink(missing_ok=True)
    done = subprocess.run([folder / "secrets.sh"], check=True, capture_output=True, text=True)
    made = compose.read_env(folder / ".env")
    assert set(made) == set(SECRETS) and (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert not any(secret in done.stdout for secret in made.values())
    again = subprocess.run([folder / "secrets.sh"], check=False, capture_output=True, text=True)
    assert again.returncode == 1 and "nothing is changed" in again.stderr
    assert compose.read_env(folder / ".env") == made
