"""From a URL to a store. Google's and Azure's are built here and never spoken to."""

from pathlib import Path

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from safelight.blobs import open_store
from safelight.blobs.local import LocalStore
from safelight.blobs.remote import RemoteStore
from safelight.domain.errors import ConfigurationError

KEYS = "access_key_id=AK&secret_access_key=SK"
AZURE_KEY = "c2FmZWxpZ2h0"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_ALLOW_HTTP", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


def opened(url: str) -> S3Store | GCSStore | AzureStore:
    store = open_store(url)
    assert isinstance(store, RemoteStore)
    return store._bucket


def test_a_folder() -> None:
    for url in ("file:///srv/media", "file://localhost/srv/media", "file:///srv/./media"):
        store = open_store(url)
        assert isinstance(store, LocalStore)
        assert store.root == Path("/srv/media")
    spaced = open_store("file:///srv/my%20media")
    assert spaced.local_path("a/b") == Path("/srv/my media/a/b")


def test_s3_from_query_parameters() -> None:
    bucket = opened(
        f"s3://bucket/some/prefix/?endpoint=http://127.0.0.1:8333&region=eu-west-1&{KEYS}"
        "&session_token=ST&path_style=false&allow_http=true"
    )
    assert isinstance(bucket, S3Store)
    assert bucket.prefix == "some/prefix"
    assert bucket.config == {
        "bucket": "bucket",
        "endpoint": "http://127.0.0.1:8333",
        "region": "eu-west-1",
        "access_key_id": "AK",
        "secret_access_key": "SK",
        "session_token": "ST",
        "virtual_hosted_style_request": "true",
    }
    assert bucket.client_options is not None
    assert bucket.client_options["allow_http"] == "true"


async def test_s3_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8333",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKENV",
        "AWS_SECRET_ACCESS_KEY": "SKENV",
    }.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://bucket/x")
    assert isinstance(store, RemoteStore)
    link = await store.presigned_url("a/b", 60)
    assert link.startswith("http://127.0.0.1:8333/bucket/x/a/b?")
    assert "AKENV" in link
    assert "eu-west-1" in link


async def test_gcs_and_azure_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    google = opened("gs://bucket/prefix?base_url=https://storage.example")
    assert isinstance(google, GCSStore)
    assert google.prefix == "prefix"
    azure = open_store(f"az://container/prefix?account=acc&account_key={AZURE_KEY}")
    assert isinstance(azure, RemoteStore)
    assert isinstance(azure._bucket, AzureStore)
    assert (await azure.presigned_url("a/b", 60)).startswith("https://acc.blob.core.windows.net/container/prefix/a/b?")
    assert isinstance(opened("az://container?use_emulator=true&allow_http=true"), AzureStore)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "fromenv")
    assert isinstance(opened(f"az://container?account_key={AZURE_KEY}"), AzureStore)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "none of file:///path"),
        ("/srv/media", "none of file:///path"),
        ("ftp://host/x", "none of file:///path"),
        ("memory:///", "none of file:///path"),
        ("https://bucket.example/x", "none of file:///path"),
        ("s3://user:pw@bucket/x", "none of file:///path"),
        ("s3://bucket:1/x", "none of file:///path"),
        ("s3://bucket/x#part", "none of file:///path"),
        ("s3://[bucket", "is not a URL"),
        ("s3://bucket?endpoint", "is not a URL"),
        ("file://srv/media", "three slashes"),
        ("file:media", "three slashes"),
        ("file:///srv/%00", "three slashes"),
        ("file:///srv?mode=1", "no parameter 'mode'. It takes none"),
        ("s3:///prefix", "names no bucket"),
        ("s3://bucket?bucket=b", "no parameter 'bucket'. It takes endpoint"),
        ("s3://bucket?region=a&region=b", "a parameter twice"),
        ("s3://bucket/a//b", "may hold letters"),
        ("s3://bucket/../b", "may hold letters"),
        ("s3://bucket?path_style=yes", "'path_style' is neither true nor false"),
        ("s3://bucket?endpoint=http://a.example", "allow_http=true in the URL or AWS_ALLOW_HTTP"),
        ("gs://bucket?service_account=/nonexistent.json", "cannot be opened: .*nonexistent"),
        ("az://container", "cannot be opened: .*Account must be specified"),
        ("az://container?account=a&account_key=not%20base64", "cannot be opened"),
    ],
)
def test_a_url_that_cannot_serve_is_told_without_its_secrets(
    url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigurationError, match=says) as caught:
        open_store(url)
    assert "pw" not in str(caught.value)
    assert "not base64" not in str(caught.value)
