"""What belongs to one workspace does not exist for another. The matrix comes from the OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from safelight.api.getimg.openapi import document
from safelight.domain.ids import new_generation_id
from tests.money.shop import IMAGE, VIDEO, Shop, ended
from tests.support.tenants import Tenant

Clients = tuple[httpx.AsyncClient, httpx.AsyncClient]
NOT_OURS = {"model"}  # the catalog is everybody's
ROUTES = [
    pytest.param(method.upper(), path, operation, id=operation["operationId"])
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
    if set(re.findall(r"{(\w+)}", path)) - NOT_OURS
]
PER_REQUEST = {"x-request-id", "date"}


def filled(path: str, id_: str) -> str:
    return re.sub(r"{(\w+)}", lambda match: "0" if match[1] == "index" else id_, path)


async def asked(client: httpx.AsyncClient, method: str, url: str, customer: Tenant | None) -> tuple[Any, ...]:
    """All that an answer tells."""
    answer = await client.request(method, url, headers=customer.headers if customer else {})
    headers = {name: value for name, value in answer.headers.items() if name not in PER_REQUEST}
    return answer.status_code, answer.content, headers


async def made(client: httpx.AsyncClient, customer: Tenant) -> list[str]:
    """An image and a video that have ended, a video under way, and an image whose files are deleted."""
    image = await client.post("/v2/images/generations", headers=customer.headers, json=IMAGE)
    gone = await client.post("/v2/images/generations", headers=customer.headers, json=IMAGE)
    deleted = await client.delete(f"/v2/generations/{gone.json()['id']}/media", headers=customer.headers)
    assert deleted.is_success, deleted.text
    done = await client.post("/v2/videos/generations", headers=customer.headers, json=VIDEO)
    await ended(client, customer, done.json()["id"])
    slow = await client.post("/v2/videos/generations", headers=customer.headers, json={**VIDEO, "model": "clip-slow"})
    return [answer.json()["id"] for answer in (image, done, slow, gone)]


def test_the_matrix_has_the_routes_of_the_server() -> None:
    assert {"getImage", "getVideo", "cancelVideo", "getDownload"} <= {str(route.id) for route in ROUTES}


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES)
async def test_anothers_is_as_absent_as_what_never_was(
    client: httpx.AsyncClient, shop: Shop, method: str, path: str, operation: dict[str, Any]
) -> None:
    owner, stranger = await shop.customer(), await shop.customer()
    ids = await made(client, owner)
    is_keyed = bool(operation["security"])
    sender = stranger if is_keyed else None
    absent = await asked(client, method, filled(path, new_generation_id()), sender)
    assert absent[0] == (404 if is_keyed else 403), "a link without its signature is refused, whatever it names"
    for id_ in ids:
        assert await asked(client, method, filled(path, id_), sender) == absent
    if not is_keyed:
        query = "?exp=4102444800&sig=" + "ab" * 32
        absent = await asked(client, method, filled(path, new_generation_id()) + query, None)
        for id_ in ids:
            assert await asked(client, method, filled(path, id_) + query, None) == absent
    elif method == "GET":
        statuses = {(await asked(client, method, filled(path, id_), owner))[0] for id_ in (ids[0], ids[1], ids[3])}
        assert 200 in statuses, "for its owner it is there"
    account = await shop.settled(owner)
    assert account.ledger_revenue_nanos == 2 * 50_000_000 + 2 * 500_000_000, "nobody else ended or deleted anything"


@pytest.mark.parametrize("id_", ["x", "req-", "req-" + "0" * 25, "req-" + "I" * 26, "%00", "..%2f..", "a" * 3000])
async def test_what_is_no_id_is_absent_too(client: httpx.AsyncClient, shop: Shop, id_: str) -> None:
    customer = await shop.customer()
    for kind in ("images", "videos"):
        answer = await client.get(f"/v2/{kind}/generations/{id_}", headers=customer.headers)
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error"]["code"] in ("not_found", "invalid_parameter")


async def test_money_and_lists_are_of_the_workspace(client: httpx.AsyncClient, shop: Shop) -> None:
    owner, stranger = await shop.customer("10"), await shop.customer("20")
    sibling = await shop.sibling(owner)
    ids = await made(client, owner)
    for customer, listed in ((sibling, set(ids)), (stranger, set())):
        answer = await client.get("/v2/generations", headers=customer.headers)
        assert {item["id"] for item in answer.json()["data"]} == listed
    balance = await client.get("/v2/billing/balance", headers=stranger.headers)
    assert balance.json()["balance"] == "20.00"
    period = {"start": "2026-01-01T00:00:00Z", "end": "2026-05-01T00:00:00Z"}
    costs = await client.get("/v2/billing/costs", headers=stranger.headers, params=period)
    assert costs.json()["total_cost"] == 0
    await shop.settled(owner)
