"""Settings: where they come from, what is no setting, what cannot go together, and files as editors write them."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight import wiring
from safelight.cli.doctor import visible_settings
from safelight.cli.options import as_environment, notes
from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.moderation.blocklist import Blocklist
from safelight.node.certificates import init_provenance, provenance_pair
from safelight.node.secrets import read_secret
from safelight.node.settings import EVERY_ADDRESS, Settings, ignored_variables, load_settings, setting_names
from safelight.node.signing_key_file import ensure_signing_keys

SHIPPED = Path(__file__).parents[2] / "src/safelight/catalog.toml"
KEY = f"k1:{bytes(range(32)).hex()}"
NO_FILE = {"SAFELIGHT_CONFIG": "/dev/null"}

OF_A_SERVICE = {
    "SAFELIGHT_SERVICE_HOST": "10.0.0.1",
    "SAFELIGHT_SERVICE_PORT": "8484",
    "SAFELIGHT_SERVICE_PORT_HTTP": "8484",
    "SAFELIGHT_PORT": "tcp://10.0.0.1:8484",
    "SAFELIGHT_PORT_8484_TCP": "tcp://10.0.0.1:8484",
    "SAFELIGHT_PORT_8484_TCP_PROTO": "tcp",
    "SAFELIGHT_PORT_8484_TCP_PORT": "8484",
    "SAFELIGHT_PORT_8484_TCP_ADDR": "10.0.0.1",
    "SAFELIGHT_DB_SERVICE_HOST": "10.0.0.2",
    "SAFELIGHT_DB_PORT": "tcp://10.0.0.2:5432",
    "SAFELIGHT_DB_PORT_5432_TCP_ADDR": "10.0.0.2",
}


def load(**variables: str) -> Settings:
    return load_settings(NO_FILE | {f"SAFELIGHT_{name}": value for name, value in variables.items()})


def refused(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**variables)
    return caught.value.message


def test_what_kubernetes_sets_for_a_service_is_no_setting_of_ours() -> None:
    assert load_settings(NO_FILE | OF_A_SERVICE) == load_settings(NO_FILE)
    (note,) = ignored_variables(NO_FILE | OF_A_SERVICE)
    assert "SAFELIGHT_PORT is ignored" in note and "tcp://10.0.0.1:8484" in note
    assert load(PORT="9000").port == 9000 and not ignored_variables({"SAFELIGHT_PORT": "9000"})
    assert "SAFELIGHT_PORT: " in refused(PORT="tcp:10.0.0.1")


def test_a_misspelt_variable_names_the_nearest_setting() -> None:
    assert "no setting SAFELIGHT_RETENTON. Did you mean SAFELIGHT_RETENTION?" in refused(RETENTON="1d")
    assert "no setting SAFELIGHT_DATABSE_URL. Did you mean SAFELIGHT_DATABASE_URL?" in refused(DATABSE_URL="x")
    assert "no setting SAFELIGHT_XYZZY. 'safelight docs" in refused(XYZZY="1")
    assert "no setting SAFELIGHT_DB_PORT" in refused(DB_PORT="5432"), "no address, so Kubernetes has not set it"


def test_a_misspelt_key_of_the_file_names_the_nearest_setting(tmp_path: Path) -> None:
    file = tmp_path / "safelight.toml"
    file.write_text('retenton = "1d"\n')
    with pytest.raises(ConfigurationError, match=r"there is no setting 'retenton'\. Did you mean retention\?"):
        load_settings({"SAFELIGHT_CONFIG": str(file)})


def test_variables_that_are_ours_or_the_catalogs_are_no_mistakes(tmp_path: Path) -> None:
    load(KILLPOINT="x", URL="http://127.0.0.1:8484", KEY="sk_x", TEST_MARK="1")
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[[connections]]\nname = "gpu"\nkey = "env:SAFELIGHT_GPU_KEY"\n')
    assert load(CATALOG=str(catalog), GPU_KEY="x").catalog == catalog
    assert "SAFELIGHT_GPU_KEYS" in refused(CATALOG=str(catalog), GPU_KEYS="x")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"RETENTION": "100d"}, ("SAFELIGHT_RETENTION (8640000s)", "SAFELIGHT_RETENTION_MAX")),
        ({"RETENTION_MAX": "1d"}, ("SAFELIGHT_RETENTION (", "SAFELIGHT_RETENTION_MAX (86400s)")),
        ({"LEASE": "280s"}, ("SAFELIGHT_LEASE (280s)", "SAFELIGHT_IMAGE_DEADLINE (280s)")),
        ({"LEASE": "20s", "VIDEO_DEADLINE": "20s"}, ("SAFELIGHT_LEASE (20s)", "SAFELIGHT_VIDEO_DEADLINE (20s)")),
        ({"MODERATION": "blocklist"}, ("SAFELIGHT_MODERATION_BLOCKLIST",)),
        ({"MODERATION_BLOCKLIST": "/x"}, ("SAFELIGHT_MODERATION_BLOCKLIST is set", "SAFELIGHT_MODERATION is off")),
        ({"MODERATION_KEY": "x"}, ("SAFELIGHT_MODERATION_KEY is set", "SAFELIGHT_MODERATION is off")),
        ({"PROVENANCE": "off", "PROVENANCE_PROMPT": "on"}, ("SAFELIGHT_PROVENANCE_PROMPT", "SAFELIGHT_PROVENANCE is")),
        ({"METRICS_TOKEN": "x"}, ("SAFELIGHT_METRICS_TOKEN is set", "SAFELIGHT_METRICS is not")),
        ({"METRICS": "127.0.0.1:8484"}, ("SAFELIGHT_METRICS (127.0.0.1:8484)", "no port of its own")),
        ({"MEDIA_URL": "s3://b/p", "ACCEL_PREFIX": "/m"}, ("SAFELIGHT_ACCEL_PREFIX",)),
        ({"DOWNLOAD_REDIRECT": "on"}, ("SAFELIGHT_DOWNLOAD_REDIRECT", "SAFELIGHT_MEDIA_URL")),
    ],
)
def test_settings_that_contradict_each_other(variables: dict[str, str], told: tuple[str, ...]) -> None:
    message = refused(**variables)
    assert "\n" not in message
    for part in told:
        assert part in message


@pytest.mark.parametrize(
    "variables",
    [
        {"RETENTION": "999999999d", "RETENTION_MAX": "999999999d"},
        {"SHUTDOWN": "999999999d"},
        {"IMAGE_RPM": "9999999999999999999999"},
        {"PORT": "65536"},
        {"DATABASE_POOL_SIZE": "1"},
        {"CATALOG": "/a\0b"},
    ],
)
def test_values_that_no_machine_can_hold(variables: dict[str, str]) -> None:
    assert f"SAFELIGHT_{next(iter(variables))}: " in refused(**variables)


@pytest.mark.parametrize(
    "value", ["catalog = 5", "retention = true", "port = 8484.5", "data_dir = [1]", "catalog = {}"]
)
def test_a_value_of_another_kind_in_the_file(value: str, tmp_path: Path) -> None:
    file = tmp_path / "safelight.toml"
    file.write_text(f"{value}\n")
    with pytest.raises(ConfigurationError, match=f"{value.partition(' ')[0]}: "):
        load_settings({"SAFELIGHT_CONFIG": str(file)})


def test_a_variable_as_an_env_file_with_its_line_ends_gives_it() -> None:
    assert load(PORT="9000\r", RETENTION=" 1d\r", LOG_LEVEL="debug\r").retention_seconds == 86400


def marked(path: Path, text: str) -> Path:
    """A file as an editor on Windows writes it: a byte order mark, and CRLF."""
    path.write_bytes(codecs.BOM_UTF8 + text.replace("\r\n", "\n").replace("\n", "\r\n").encode())
    return path


def read_settings(folder: Path) -> Any:
    file = marked(folder / "safelight.toml", 'retention = "1d"\nport = 9000\n')
    settings = load_settings({"SAFELIGHT_CONFIG": str(file)})
    return settings.retention_seconds, settings.port


def read_catalog(folder: Path) -> Any:
    return set(wiring.load_catalog(Settings(catalog=marked(folder / "c.toml", SHIPPED.read_text()))).models)


def read_keys(folder: Path) -> Any:
    marked(folder / "signing-keys", f"# a comment\n{KEY}\n")
    return [key.id for key in ensure_signing_keys(Settings(data_dir=folder))]


def read_key_of_a_backend(folder: Path) -> Any:
    return read_secret(Secret(f"file:{marked(folder / 'key', 'r8_secret')}"))


def read_chain(folder: Path) -> Any:
    init_provenance(folder / "chain")
    for name in ("chain.pem", "key.pem", "root.pem"):
        marked(folder / "chain" / name, (folder / "chain" / name).read_text())
    settings = Settings(data_dir=folder, provenance_dir=folder / "chain")
    wiring.check_provenance(settings)
    return wiring.open_signer(settings) is not None and provenance_pair(settings)[0][:27]


def read_blocklist(folder: Path) -> Any:
    path = marked(folder / "blocklist.toml", '[[rules]]\ncategory = "x"\nterms = ["one"]\n')
    return len(Blocklist(path)._rules)


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        (read_settings, (86400, 9000)),
        (read_catalog, set(wiring.load_catalog(Settings()).models)),
        (read_keys, ["k1"]),
        (read_key_of_a_backend, "r8_secret"),
        (read_chain, b"-----BEGIN CERTIFICATE-----"),
        (read_blocklist, 1),
    ],
)
def test_files_with_a_byte_order_mark_and_crlf(read: Callable[[Path], Any], wanted: Any, tmp_path: Path) -> None:
    assert read(tmp_path) == wanted


@pytest.mark.parametrize("content", ["héllo".encode("utf-16"), b"\xff\xfe\xfd", b"\x00\xe9"])
def test_files_that_are_no_utf_8(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "signing-keys"
    path.write_bytes(content)
    for read in (
        lambda: load_settings({"SAFELIGHT_CONFIG": str(path)}),
        lambda: wiring.load_catalog(Settings(catalog=path)),
        lambda: ensure_signing_keys(Settings(data_dir=tmp_path)),
        lambda: read_secret(Secret(f"file:{path}")),
        lambda: Blocklist(path),
    ):
        with pytest.raises(ConfigurationError, match=f"{path}: it is not UTF-8 text") as caught:
            read()
        assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["8484.0", "1e3", "8_484", "+8484", "0x10", "-1", "\u0668\u0664", "9" * 5000])
@pytest.mark.parametrize("name", ["PORT", "KEY_WAITS", "RENDER_PROCESSES"])
def test_numbers_are_read_as_on_the_command_line(name: str, text: str) -> None:
    assert re.search(rf"^SAFELIGHT_{name}: it is a whole number from \d+ to \d+\. ", refused(**{name: text}))


def in_file(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "safelight.toml"
    file.write_text(text)
    return load_settings({"SAFELIGHT_CONFIG": str(file)})


def test_numbers_of_the_file(tmp_path: Path) -> None:
    assert in_file(tmp_path, "port = 9000\nworkers = '002'\n") == load(PORT="9000", WORKERS="2")
    for value in ("8484.0", "true", "'1e3'"):
        with pytest.raises(ConfigurationError, match="port: it is a whole number"):
            in_file(tmp_path, f"port = {value}\n")


@pytest.mark.parametrize("blank", ["", " ", "\\t"])
def test_a_blank_in_the_file_is_none_as_in_the_environment(blank: str, tmp_path: Path) -> None:
    names = [name for name in setting_names() if name != "data_dir"]
    assert in_file(tmp_path, "".join(f'{name} = "{blank}"\n' for name in names)) == load()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PROVENANCE": "true"}, "it is one of off, on."),
        ({"LOG_LEVEL": "DEBUG"}, "it is one of debug, error, info, warning."),
        ({"LOW_BALANCE": "1e3"}, "it is text such as 5 or 0.50."),
        ({"MODERATION": "endpoint", "MODERATION_URL": "https://u:hunter2@h"}, "it is text such as https://"),
        ({"MODERATION": "endpoint", "MODERATION_URL": "http://h:x"}, "it is text such as https://"),
        ({"MODERATION": "endpoint", "MODERATION_KEY": "hunter2\nB: c"}, "it is text such as sk-"),
        ({"MODERATION": "endpoint", "MODERATION_KEY": "hunter2ü"}, "it is text such as sk-"),
        ({"ACCEL_PREFIX": "/x\r\nA: b"}, "it is text such as /media-files."),
        ({"METRICS": "9484"}, "it is text such as 127.0.0.1:9484."),
        ({"METRICS": "http://127.0.0.1:9484"}, "it is text such as 127.0.0.1:9484."),
    ],
)
def test_a_refusal_says_what_is_wanted_and_repeats_no_secret(variables: dict[str, str], told: str) -> None:
    message = refused(**variables)
    assert message.startswith(f"SAFELIGHT_{[*variables][-1]}: {told}")
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("*", "0.0.0.0"),
        ("0", "0.0.0.0"),
        ("127.1", "127.0.0.1"),
        ("::0", "::"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("[::1]", "::1"),
        ("localhost", "localhost"),
        ("media-1.internal", "media-1.internal"),
    ],
)
def test_a_host_in_any_of_its_spellings(text: str, host: str) -> None:
    assert load(HOST=text).host == host
    assert len(notes(load(HOST=text))) == (host in EVERY_ADDRESS)


@pytest.mark.parametrize(
    "text", ["http://x", "127.0.0.1:80", "a b", "\x1b[2J", "x" * 300, "224.0.0.1", "ff02::1", "a/b"]
)
def test_what_is_no_host(text: str) -> None:
    assert refused(HOST=text).startswith("SAFELIGHT_HOST: ")


@pytest.mark.parametrize("end", [" ", "\n", "\t ", "\udcff", " x", "'\""])
def test_a_folder_keeps_its_name_on_its_way_to_a_child(end: str, tmp_path: Path) -> None:
    settings = load_settings(NO_FILE, data_dir=Path(f"{tmp_path}/data{end}"), catalog=Path(f"{tmp_path}/c{end}"))
    given = json.loads(json.dumps(as_environment(settings)))
    assert load_settings(NO_FILE | given) == settings


def test_whatever_is_called_a_key_a_token_or_a_secret_is_hidden() -> None:
    secret = re.compile(r"(^|_)(keys?|token|secret|password)$")
    named = {name: field.name for name, field in setting_names().items() if secret.search(name)}
    assert {"signing_keys", "moderation_key", "metrics_token"} <= set(named)
    given = msgspec.structs.replace(Settings(), **dict.fromkeys(named.values(), "hunter2"))
    assert {value for name, value in visible_settings(given).items() if name in named} == {"(hidden)"}
