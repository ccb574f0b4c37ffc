"""Clients in JavaScript lose the answer to what they pay for. They repeat it by themselves, and it is one order and one
charge."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from safelight.providers.noop import png
from tests.clients.media import spent, statuses
from tests.clients.pages import block
from tests.clients.reader import exported, run_node, with_packages
from tests.contract.accounts import Account
from tests.support.cutting import Cutter
from tests.support.server import Server, eventually


@pytest.mark.parametrize(
    ("call", "price"),
    [
        ("image", "0.03"),
        ("four_images", "0.12"),
        ("edit", "0.03"),
        ("video", "0.104"),
        ("sdk_image", "0.03"),
        ("sdk_edit", "0.03"),
        ("sdk_video", "0.104"),
    ],
)
async def test_a_lost_answer_is_one_charge(
    shop: Server, account: Account, tmp_path: Path, call: str, price: str
) -> None:
    picture, module = tmp_path / "a.png", tmp_path / "safelight-video.mjs"
    picture.write_bytes(png())
    module.write_text(block("ai-sdk", module.name))
    with_packages(tmp_path)
    async with Cutter(shop.port).open() as network:
        environment = exported(account) | {"SAFELIGHT_BASE_URL": network.base_url}
        got = await asyncio.to_thread(run_node, "lost_answer.mjs", environment, call, str(picture), str(module))
    assert network.cut == 1, "no answer was lost"
    assert json.loads(got)
    eventually(lambda: "pending" not in statuses(account), "everything has ended")
    assert spent(account) == Decimal(price)
