from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from safelight.domain.errors import ConfigurationError
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.urls import MAX_URL_CHARACTERS, UrlRefused, parse_url
from tests.outbound.spellings import REFUSED_URLS

PUBLIC = OutboundPolicy()

ACCEPTED = {
    "https://example.com": "https://example.com/",
    "https://example.com/": "https://example.com/",
    "HTTPS://Example.COM:443/a%20b?X-Sig=a%2Fb&c=d+e#part": "https://example.com/a%20b?X-Sig=a%2Fb&c=d+e",
    "https://example.com?x=1": "https://example.com/?x=1",
    "https://my_bucket.s3.example.com/k": "https://my_bucket.s3.example.com/k",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
    "https://8.8.8.8/x.png": "https://8.8.8.8/x.png",
    "https://[2606:4700::1111]/x.png": "https://[2606:4700::1111]/x.png",
    "https://example.com//a/../b/./c": "https://example.com//a/../b/./c",
    "https://example.com/@x:y": "https://example.com/@x:y",
}


@pytest.mark.parametrize(("url", "read"), ACCEPTED.items())
def test_accepted(url: str, read: str) -> None:
    assert parse_url(url, PUBLIC).url == read


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        parse_url(url, PUBLIC)


def test_the_longest_url() -> None:
    start = "https://example.com/"
    assert parse_url(start + "a" * (MAX_URL_CHARACTERS - len(start)), PUBLIC)
    with pytest.raises(UrlRefused):
        parse_url(start + "a" * (MAX_URL_CHARACTERS - len(start) + 1), PUBLIC)


_HOSTILE = st.text(st.sampled_from("htps:/\\@?#%[].0123456789abcdefx-_ \t\r\n。１＠ⓔ"), max_size=40)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), _HOSTILE.map("https://".__add__), _HOSTILE))
@example("https://example.com\\@127.0.0.1/")
@example("https://127.0.0.1#@example.com/")
def test_other_parsers_agree_on_what_is_accepted(url: str) -> None:
    try:
        target = parse_url(url, PUBLIC)
    except UrlRefused:
        return
    assert (target.scheme, target.port) == ("https", 443)
    for text in (url, target.url):
        split = urlsplit(text)
        assert (split.hostname, split.port or 443, split.username) == (target.host, 443, None)
    read = URL(target.url, encoded=True)
    assert (read.raw_host, read.port, read.user, read.raw_path_qs) == (target.host, 443, None, target.path)
    assert parse_url(target.url, PUBLIC) == target


OPENED = OutboundPolicy.parse(["images.internal", "localhost:9000", "10.0.0.0/8", "[fd00::1]:9000", "192.0.2.7"])


@pytest.mark.parametrize(
    "url",
    [
        "http://images.internal/x",
        "https://images.internal:8443/x",
        "http://localhost:9000/x",
        "https://localhost:9000/x",
        "http://10.1.2.3:8080/x",
        "http://[fd00::1]:9000/x",
        "http://192.0.2.7/x",
        "https://example.com/x",
    ],
)
def test_what_the_operator_opens(url: str) -> None:
    assert parse_url(url, OPENED).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9001/x",
        "http://localhost/x",
        "https://localhost/x",
        "http://example.com/x",
        "https://example.com:9000/x",
        "http://sub.images.internal/x",
        "http://11.0.0.1/x",
        "http://[fd00::1]:9001/x",
        "http://images.internal.:80/x",
        "http://user@images.internal/x",
        "http://0xa.0.0.1/x",
        "ftp://images.internal/x",
    ],
)
def test_it_opens_nothing_else(url: str) -> None:
    with pytest.raises(UrlRefused):
        parse_url(url, OPENED)


def test_an_opened_host_or_network_opens_addresses() -> None:
    assert OPENED.allows("images.internal", 80, "127.0.0.1")
    assert OPENED.allows("localhost", 9000, "::1")
    assert not OPENED.allows("localhost", 443, "::1")
    assert OPENED.allows("example.com", 443, "10.0.0.1")
    assert not OPENED.allows("example.com", 443, "127.0.0.1")


@pytest.mark.parametrize(
    "entry",
    [
        "http://x",
        "x:",
        "x:0",
        "x:65536",
        "x:y",
        "10.0.0.1/8",
        "a b",
        "*.internal",
        "[::1",
        "[x]:1",
        "bücher",
        ":80",
    ],
)
def test_a_wrong_entry_is_told(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="SAFELIGHT_REFERENCES_ALLOW"):
        OutboundPolicy.parse(["example.com", entry])


def test_empty_entries_mean_nothing() -> None:
    assert OutboundPolicy.parse(["", "  "]) == PUBLIC
