"""nginx in front of API nodes is configured in one way, wherever a configuration of it stands."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from bench.rehearsal import site
from safelight.node.settings import Settings
from tests.delivery.house import KEYS
from tests.deploy import compose
from tests.deploy.engine import REPOSITORY
from tests.support.nginx import command
from tests.support.server import open_folder

ADVICE = re.compile(
    r"^\s*((?:proxy_(?:http_version|set_header|connect_timeout|read_timeout|next_upstream\w*|buffering)|keepalive\w*"
    r"|client_max_body_size|least_conn|ip_hash)\b[^;]*);",
    re.MULTILINE,
)
SERVER = re.compile(r"^\s*server \S+?:\d+ ?([^;{}]*);", re.MULTILINE)


def advice(text: str) -> set[str]:
    """What concerns how requests are passed on, without comments."""
    text = re.sub(r"#.*", "", text)
    return {" ".join(found.split()) for found in ADVICE.findall(text)} | set(SERVER.findall(text))


def written(folder: Path, catalog: str = "") -> str:
    env = {"SAFELIGHT_SIGNING_KEYS": KEYS}
    if catalog:
        (folder / "catalog.toml").write_text(catalog)
        env["SAFELIGHT_CATALOG"] = str(folder / "catalog.toml")
    status, text, errors = command(env, folder / "data", "--upstream", "a:8484", "--upstream", "b:8484")
    assert status == 0, errors
    return text


def test_every_configuration_of_nginx_says_the_same() -> None:
    page = (REPOSITORY / "docs/operating.md").read_text()
    (told,) = re.findall(r"```nginx\n(upstream safelight.*?)```", page, re.DOTALL)
    expected = advice(told)
    assert "max_fails=0" in expected and len(expected) >= 11, expected
    assert f"proxy_read_timeout {Settings().image_deadline_seconds + 30}s" in expected
    assert advice((compose.FOLDER / "nginx.conf").read_text()) == expected
    rehearsed = site._NGINX.replace("{servers}", "server 127.0.0.1:1 max_fails=0;").replace("{{", "{")
    assert advice(rehearsed) == expected
    with open_folder() as folder:
        assert advice(written(folder)) == expected
    ingress = (REPOSITORY / "deploy/kubernetes/safelight.yaml").read_text()
    annotations = next(item for item in yaml.safe_load(ingress)["items"] if item["kind"] == "Ingress")["metadata"][
        "annotations"
    ]
    of = {name.rpartition("/")[2]: value for name, value in annotations.items()}
    assert f"proxy_read_timeout {of['proxy-read-timeout']}s" in expected
    assert f"client_max_body_size {of['proxy-body-size']}" in expected


def test_nginx_waits_as_long_as_the_catalog_lets_an_image_take() -> None:
    shipped = (REPOSITORY / "src/safelight/catalog.toml").read_text()
    slow = shipped.replace('type = "image"', 'type = "image"\ndeadline_seconds = 900', 1)
    assert slow != shipped
    with open_folder() as folder:
        assert "proxy_read_timeout 930s;" in written(folder, slow)


def test_what_the_image_is_made_of_is_not_ignored() -> None:
    """A folder that ``.dockerignore`` leaves out is no part of the context, and nothing can be copied from it."""
    kept = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = (REPOSITORY / "deploy/Containerfile").read_text().splitlines()
    copied = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    assert set(copied) == kept


def test_who_writes_it_is_told_where_nginx_cannot_come_in() -> None:
    with open_folder() as folder:
        folder.chmod(0o711)
        env = {"SAFELIGHT_SIGNING_KEYS": KEYS, "SAFELIGHT_MEDIA_URL": (folder / "closed/media").as_uri()}
        (folder / "closed").mkdir()
        for mode, is_told in ((0o700, True), (0o750, False), (0o711, False)):
            (folder / "closed").chmod(mode)
            status, said, errors = command(env, folder / "data", "--output", str(folder / "nginx"))
            assert status == 0, errors
            assert (f"{folder / 'closed'} is closed to it" in said) == is_told, (oct(mode), said)
