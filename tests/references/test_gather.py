from __future__ import annotations

import asyncio
import base64

import pytest

from safelight.domain.errors import InvalidParameter, ServiceUnavailable
from safelight.domain.media import MimeType
from safelight.references.decode import FencedDecoder
from safelight.references.gather import MAX_TOTAL_BYTES, ReferenceGatherer
from tests.references import files

Image = tuple[str, str, str]


class Web:
    """Answers ``https://<seconds>/<anything>`` after so long; a path of ``missing`` is refused."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def fetch(self, url: str, param: str) -> bytes:
        await asyncio.sleep(float(url.split("/")[2]))
        self.fetched.append(url)
        if url.endswith("missing"):
            raise InvalidParameter("missing", param=param)
        if url.endswith("away"):
            raise ServiceUnavailable
        return url.encode()


class NoDecoder:
    async def clean(self, data: bytes, declared: str | None, param: str) -> tuple[MimeType, bytes]:
        return "image/png", bytes(MAX_TOTAL_BYTES // 4) if data.endswith(b"huge") else data


def _images(*urls: str) -> list[tuple[str, str, str]]:
    return [(url, "reference_image", f"images[{n}].url") for n, url in enumerate(urls)]


async def test_data_urls_and_addresses_in_order() -> None:
    decoder = FencedDecoder()
    inline = "data:image/png;base64," + base64.b64encode(files.png()).decode()

    class Pictures:
        async def fetch(self, url: str, param: str) -> bytes:
            return files.jpeg()

    gatherer = ReferenceGatherer(Pictures(), decoder)
    images = [
        (inline, "first_frame", "images[0].url"),
        ("https://example.com/", "last_frame", "images[1].url"),
    ]
    references = await gatherer.gather(images)  # type: ignore[arg-type]
    assert [(reference.role, reference.mime_type) for reference in references] == [
        ("first_frame", "image/png"),
        ("last_frame", "image/jpeg"),
    ]
    wrong = inline.replace("image/png", "image/webp")
    with pytest.raises(InvalidParameter, match=r"image/webp .* image/png") as caught:
        await gatherer.gather(_images(inline, wrong))  # type: ignore[arg-type]
    assert caught.value.param == "images[1].url"
    await decoder.close()


async def test_all_at_once_and_in_order() -> None:
    web = Web()
    urls = ["https://0.05/a", "https://0.02/b", "https://0/c"]
    references = await ReferenceGatherer(web, NoDecoder()).gather(_images(*urls))  # type: ignore[arg-type]
    assert [reference.data.decode() for reference in references] == urls
    assert web.fetched == urls[::-1]


async def test_the_first_error_in_the_lists_order_wins() -> None:
    web = Web()
    urls = ["https://0/a", "https://0.05/missing", "https://0/away", "https://0/missing"]
    with pytest.raises(InvalidParameter) as caught:
        await ReferenceGatherer(web, NoDecoder()).gather(_images(*urls))  # type: ignore[arg-type]
    assert caught.value.param == "images[1].url"


async def test_bare_base64_is_told_to_be_prefixed() -> None:
    bare = base64.b64encode(files.png()).decode()
    with pytest.raises(InvalidParameter, match="prefix it") as caught:
        await ReferenceGatherer(Web(), NoDecoder()).gather(_images(bare))  # type: ignore[arg-type]
    assert caught.value.param == "images[0].url"


async def test_limits_of_a_request() -> None:
    gatherer = ReferenceGatherer(Web(), NoDecoder())
    assert await gatherer.gather([]) == ()
    with pytest.raises(InvalidParameter, match="At most 8"):
        await gatherer.gather(_images(*["https://0/a"] * 9))  # type: ignore[arg-type]
    assert len(await gatherer.gather(_images(*["https://0/huge"] * 4))) == 4  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="in all"):
        await gatherer.gather(_images(*["https://0/huge"] * 5))  # type: ignore[arg-type]
