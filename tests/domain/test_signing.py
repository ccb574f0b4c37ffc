"""Download links: frozen vectors, strict queries, rotation, expiry, and the text form of keys."""

import hmac
import json
import secrets
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.errors import ConfigurationError, DownloadExpired, InvalidSignature
from safelight.domain.signing import (
    LinkSigner,
    SigningKey,
    format_signing_keys,
    generate_signing_key,
    parse_signing_keys,
)

VECTORS = json.loads(Path(__file__).with_name("signing_vectors.json").read_text())
OLD, NEW = parse_signing_keys(f"k1:{VECTORS['keys']['k1']},k2:{VECTORS['keys']['k2']}")
ID = "req-01JZ0000000000000000000000"
OTHER_ID = "req-01JZ0000000000000000000001"
EXP = 1788000000
SIGNER = LinkSigner((NEW, OLD), "https://media.example.com")


def query_of(url: str) -> str:
    return url.partition("?")[2]


GOOD = query_of(SIGNER.url(ID, 0, EXP))
SIG = GOOD[-64:]


def outcome(query: str | bytes, generation_id: str = ID, index: int = 0, now: int = EXP - 1) -> type | None:
    try:
        SIGNER.check(generation_id, index, query, now)
    except (InvalidSignature, DownloadExpired) as error:
        assert str(error) == str(type(error)())  # never a hint at what was wrong with it
        return type(error)
    return None


@pytest.mark.parametrize("link", VECTORS["links"], ids=lambda link: f"{link['key']}-{link['variant']}")
def test_a_frozen_link_is_made_and_accepted_byte_for_byte(link: dict) -> None:
    (key,) = parse_signing_keys(f"{link['key']}:{VECTORS['keys'][link['key']]}")
    signer = LinkSigner((key,), VECTORS["public_url"])
    assert signer.url(link["id"], link["index"], link["exp"], link["variant"]) == link["url"]
    query = query_of(link["url"])
    signer.check(link["id"], link["index"], query.encode(), link["exp"] - 1, link["variant"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_vectors_agree_with_another_implementation() -> None:
    link = VECTORS["links"][0]
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{VECTORS['keys'][link['key']]}"],
        input=link["message"].encode(),
        capture_output=True,
        check=True,
    )
    assert made.stdout.decode().split()[-1] == link["sig"]


def test_either_order_is_good_and_bytes_are_good() -> None:
    assert outcome(GOOD) is None
    assert outcome(GOOD.encode()) is None
    assert outcome(f"sig={SIG}&exp={EXP}") is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"exp={EXP}",
        f"sig={SIG}",
        f"?{GOOD}",
        f"{GOOD}&exp={EXP}",
        f"{GOOD}&exp",
        f"{GOOD}&exp=",
        f"{GOOD}&%65xp={EXP}",
        f"{GOOD}&ex%70=1",
        f"{GOOD}&s%69g={SIG}",
        f"{GOOD}&utm_source=a&sig={SIG}",
        f"%65xp={EXP}&sig={SIG}",
        f"{GOOD}?utm_source=mail",
        f"exp={EXP}&amp;sig={SIG}",
        f"exp={EXP}&{GOOD}",
        f"{GOOD}&sig={SIG}",
        f"exp={EXP};sig={SIG}",
        f"EXP={EXP}&sig={SIG}",
        f"exp=0{EXP}&sig={SIG}",
        f"exp=+{EXP}&sig={SIG}",
        f"exp={EXP}.0&sig={SIG}",
        f"exp=%31{str(EXP)[1:]}&sig={SIG}",
        f"exp=\uff11{str(EXP)[1:]}&sig={SIG}",
        f"exp={EXP // 10}&sig={SIG}",
        f"exp={EXP}0&sig={SIG}",
        f"exp=-{EXP}&sig={SIG}",
        f"exp={EXP} &sig={SIG}",
        f"exp={EXP}&sig={SIG}\n",
        f"exp={EXP}\n&sig={SIG}",
        f"exp={EXP}&sig={SIG.upper()}",
        f"exp={EXP}&sig={SIG[:-1]}",
        f"exp={EXP}&sig={SIG}0",
        f"exp={EXP}&sig=0x{SIG[2:]}",
        f"exp={EXP + 1}&sig={SIG}",
        f"exp={EXP}&sig={'0' * 64}",
        b"\xff\xfe",
    ],
)
def test_any_other_query_is_an_invalid_signature(query: str | bytes) -> None:
    assert outcome(query) is InvalidSignature


@pytest.mark.parametrize(
    "query",
    [
        f"{GOOD}&",
        f"&{GOOD}",
        f"{GOOD}&x=1",
        f"{GOOD}&fbclid=IwAR0&utm_source=news%20letter&utm_medium=e-mail",
        f"utm_source=a&exp={EXP}&gclid=b&sig={SIG}&_=1788000000",
        f"1788000000&{GOOD}",
        f"{GOOD}&exp[]=1&Exp=1&signature={SIG}&sig2=x&next=exp%3D1",
        f"{GOOD}&%ff=%00&=&==&%",
        f"{GOOD}&x={'y' * 20_000}",
        f"{GOOD}&utm=\xe9".encode("latin-1"),
    ],
)
def test_what_is_not_signed_changes_nothing(query: str | bytes) -> None:
    assert outcome(query) is None
    assert outcome(query, OTHER_ID) is InvalidSignature
    assert outcome(query, now=EXP) is DownloadExpired


def test_a_known_and_an_unknown_id_are_refused_alike_and_before_expiry() -> None:
    assert outcome(GOOD, OTHER_ID) is InvalidSignature
    assert outcome(GOOD, ID, 1) is InvalidSignature
    assert outcome(GOOD, OTHER_ID, now=EXP + 1) is InvalidSignature
    assert outcome(f"exp={EXP}&sig={'0' * 64}", now=EXP + 1) is InvalidSignature


def test_it_expires_at_the_second_it_names() -> None:
    assert outcome(GOOD, now=EXP - 1) is None
    assert outcome(GOOD, now=EXP) is DownloadExpired
    assert outcome(GOOD, now=EXP + 1_000_000) is DownloadExpired


def test_a_variant_has_its_own_signature() -> None:
    thumbnail = query_of(SIGNER.url(ID, 0, EXP, "thumbnail"))
    SIGNER.check(ID, 0, thumbnail, EXP - 1, "thumbnail")
    assert outcome(thumbnail) is InvalidSignature
    with pytest.raises(InvalidSignature):
        SIGNER.check(ID, 0, GOOD, EXP - 1, "thumbnail")


def test_rotation_old_links_live_until_their_key_is_removed() -> None:
    old_link = query_of(LinkSigner((OLD,), "https://a.example").url(ID, 0, EXP))
    both = LinkSigner((NEW, OLD), "https://a.example")
    both.check(ID, 0, old_link, EXP - 1)
    assert both.url(ID, 0, EXP) == LinkSigner((NEW,), "https://a.example").url(ID, 0, EXP)
    with pytest.raises(InvalidSignature):
        LinkSigner((NEW,), "https://a.example").check(ID, 0, old_link, EXP - 1)


@given(query=st.text() | st.binary() | st.from_regex(r"exp=[0-9]+&sig=[0-9a-f]+"), index=st.integers())
def test_nothing_else_is_ever_raised(query: str | bytes, index: int) -> None:
    assert outcome(query, index=index) in (InvalidSignature, None if query == GOOD else InvalidSignature)


@given(generation_id=st.text())
def test_an_id_is_never_taken_for_more_than_an_id(generation_id: str) -> None:
    assert outcome(GOOD, f"{generation_id}\n{ID}") is InvalidSignature
    assert outcome(GOOD, f"{ID}\n{generation_id}") is InvalidSignature


@given(place=st.integers(0, len(GOOD) - 1), character=st.characters(min_codepoint=33, max_codepoint=126))
def test_no_character_of_a_link_may_change(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    assert outcome(changed) is (None if changed == GOOD else InvalidSignature)


@pytest.mark.parametrize(
    ("generation_id", "index", "exp", "variant"),
    [
        ("", 0, EXP, None),
        ("a/b", 0, EXP, None),
        ("a\n", 0, EXP, None),
        (ID, -1, EXP, None),
        (ID, 10_000, EXP, None),
        (ID, 0, 999_999_999, None),
        (ID, 0, 10_000_000_000, None),
        (ID, 0, EXP, ""),
        (ID, 0, EXP, "../x"),
    ],
)
def test_no_link_is_made_that_could_not_be_checked(
    generation_id: str, index: int, exp: int, variant: str | None
) -> None:
    with pytest.raises(ValueError, match="no link can name"):
        SIGNER.url(generation_id, index, exp, variant)


def test_the_public_url_may_have_a_path_and_a_port() -> None:
    assert (
        LinkSigner((NEW,), "http://localhost:8000/")
        .url(ID, 0, EXP)
        .startswith(f"http://localhost:8000/v2/downloads/{ID}/0?exp=")
    )
    assert (
        LinkSigner((NEW,), "https://x.example/media")
        .url(ID, 0, EXP, "thumbnail")
        .startswith(f"https://x.example/media/v2/downloads/{ID}/0/thumbnail?exp=")
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "media.example.com",
        "ftp://a.example",
        "https://",
        "https://a.example?x=1",
        "https://a.example#f",
        "https://user@a.example",
        "https://a.example:99999",
        "https://a.exam ple",
        "https://[::1",
    ],
)
def test_a_public_url_that_cannot_serve_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"https://media\.example\.com"):
        LinkSigner((NEW,), url)


def test_keys_in_text_and_back() -> None:
    made = generate_signing_key("k9", datetime(2026, 5, 2, 12, 30, tzinfo=UTC))
    assert len(made.secret) == 32
    text = "# kept by the operator\n" + format_signing_keys((made, OLD)) + "\n"
    assert parse_signing_keys(text) == (made, OLD)
    assert text.splitlines()[1].endswith(":2026-05-02T12:30:00Z")
    assert parse_signing_keys(f" k9:{made.secret.hex().upper()} , k1:{OLD.secret.hex()}")[0].secret == made.secret
    assert parse_signing_keys(f"a:{made.secret.hex()}:2026-05-02T14:30:00+02:00")[0].created_at == made.created_at


HEX = "00112233445566778899aabbccddeeff" * 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no signing key"),
        (" , \n# nothing\n", "no signing key"),
        (HEX, "number 1 is not written as 'id:hex'"),
        (f"k1:{HEX},k2", "number 2 is not written as 'id:hex'"),
        (f"k 1:{HEX}", "letters, digits"),
        (f"k1:{HEX}zz", "hex digits"),
        (f"k1:{HEX}0", "hex digits"),
        (f"k1:{HEX[:62]}", "31 bytes; it needs 32"),
        (f"k1:{'00' * 32}", "not random"),
        (f"k1:{HEX},k1:{HEX}00", "Two signing keys have the id 'k1'"),
        (f"k1:{HEX},k2:{HEX}", "'k1' and 'k2' are the same key"),
        (f"k1:{HEX}:yesterday", "not a time"),
        (f"k1:{HEX}:2026-05-02T12:30:00", "not a time"),
    ],
)
def test_a_wrong_key_is_told_with_a_remedy_and_without_the_secret(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_signing_keys(text)
    assert says in str(caught.value)
    assert HEX[:16] not in str(caught.value)
    assert any(word in str(caught.value) for word in ("signing-keys add", "Write it as", "Give each its own id"))


def test_a_key_never_shows_its_secret() -> None:
    assert OLD.secret.hex() not in repr(OLD)
    assert repr(OLD.secret) not in f"{OLD} {(OLD,)!r}"
    with pytest.raises(ConfigurationError):
        SigningKey(id="k1", secret=bytes(range(32)), created_at=datetime(2026, 5, 2))  # noqa: DTZ001


def test_a_signer_needs_keys_that_differ() -> None:
    with pytest.raises(ConfigurationError, match="no signing key"):
        LinkSigner((), "https://a.example")
    with pytest.raises(ConfigurationError, match="Two signing keys"):
        LinkSigner((OLD, OLD), "https://a.example")


def test_a_secret_has_eight_different_bytes_at_least() -> None:
    seven, eight = (bytes(range(1, number + 1)) + bytes([1]) * (32 - number) for number in (7, 8))
    with pytest.raises(ConfigurationError):
        parse_signing_keys(f"k1:{seven.hex()}")
    (key,) = parse_signing_keys(f"k1:{eight.hex()}")
    assert LinkSigner((key,), "https://media.example.com").url(ID, 0, EXP)


def test_of_three_keys_the_first_signs_and_each_verifies() -> None:
    keys = parse_signing_keys(",".join(f"n{number}:{secrets.token_hex(32)}" for number in range(3)))
    signers = [LinkSigner((key,), "https://media.example.com") for key in keys]
    every = LinkSigner(keys, "https://media.example.com")
    assert every.url(ID, 0, EXP) == signers[0].url(ID, 0, EXP)
    for signer in signers:
        every.check(ID, 0, query_of(signer.url(ID, 0, EXP)), EXP - 1)
    with pytest.raises(InvalidSignature):
        LinkSigner(keys[:2], "https://media.example.com").check(ID, 0, query_of(signers[2].url(ID, 0, EXP)), EXP - 1)


HINT = SIGNER.hint_url("back-2", f"{ID}.3", EXP)


def test_the_address_of_a_hint_is_made_byte_for_byte() -> None:
    """Orders under way outlive a release."""
    path = f"https://media.example.com/v2/hints/back-2/{ID}.3"
    assert f"{path}?exp={EXP}&sig=157a5366b4280b6e6724d20e7e183612c0656061665dee44d544c64f581f2e43" == HINT
    message = f"safelight-hint-v1\nback-2\n{ID}.3\n{EXP}".encode()
    assert HINT.endswith(hmac.new(bytes.fromhex(VECTORS["keys"]["k2"]), message, "sha256").hexdigest())
    SIGNER.check_hint("back-2", f"{ID}.3", query_of(HINT).encode(), EXP - 1)


@pytest.mark.parametrize(
    ("connection", "job_id", "query", "now"),
    [
        ("back-2", f"{ID}.3", query_of(HINT), EXP),
        ("back-1", f"{ID}.3", query_of(HINT), 0),
        ("back-2", ID, query_of(HINT), 0),
        ("back-2", f"{ID}.3", query_of(HINT)[:-1], 0),
        ("back-2", f"{ID}.3", query_of(HINT).replace("178", "179"), 0),
        ("back-2", f"{ID}.3", "", 0),
        ("back-2", ID, query_of(SIGNER.url(ID, 0, EXP)), 0),
        ("back-2\nx", f"{ID}.3", query_of(HINT), 0),
    ],
)
def test_any_other_address_of_a_hint_is_an_invalid_signature(
    connection: str, job_id: str, query: str, now: int
) -> None:
    """One that is too late is no different."""
    with pytest.raises(InvalidSignature):
        SIGNER.check_hint(connection, job_id, query.encode(), now)


def test_what_no_address_can_name_is_not_signed() -> None:
    for connection, job_id in (("Back", ID), ("", ID), ("back", "a/b"), ("back", "x" * 65)):
        with pytest.raises(ValueError, match="no address can name"):
            SIGNER.hint_url(connection, job_id, EXP)
