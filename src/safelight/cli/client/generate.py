"""``safelight generate``: from a prompt to a file."""

from __future__ import annotations

import time
from decimal import Decimal

from safelight.cli.client import journal
from safelight.cli.client.asking import Asked, ask, price, prompt_of, usd
from safelight.cli.client.connection import Connection
from safelight.cli.client.exits import Misuse
from safelight.cli.client.making import How, Making
from safelight.cli.client.output import guarded, run
from safelight.cli.client.profiles import find_profile
from safelight.cli.client.targets import target_of
from safelight.cli.client.wishes import Wishes
from safelight.cli.numbers import amount
from safelight.domain.errors import InvalidParameter
from safelight.domain.money import as_decimal


def generate(
    prompt: str,
    wishes: Wishes,
    *,
    max_cost: str | None,
    force: bool,
    waits: bool,
    opens: bool,
    cancels: bool,
    as_json: bool,
    profile: str | None,
) -> int:
    """Order, wait and fetch; the exit status."""
    read: list[str] = []
    status = guarded(lambda: read.append(prompt_of(prompt)))
    if not read:
        return status

    async def work() -> int:
        target = None
        if wishes.output is not None or not as_json:
            target = target_of(wishes.output, count=wishes.count, force=force)
        most = None if max_cost is None else _most(max_cost)
        async with Connection(find_profile(profile)) as connection:
            asked = await ask(connection, read[0], wishes, target)
            if target is not None and waits:
                target.check(asked.type, wishes.count)
            if most is not None:
                await _check_price(connection, asked, wishes.count, most)
            how = How(target=target, as_json=as_json, waits=waits, opens=opens, cancels=cancels)
            entry = journal.Entry(
                base_url=connection.profile.base_url,
                type=asked.type,
                template=target.absolute if target else None,
                force=force,
                began_at=time.time(),
                request=asked.body.decode(),
                orders=[journal.Order(key=journal.new_key()) for _ in range(wishes.count)],
            )
            return await Making(connection, journal.begin(entry), how).all()

    return run(work, as_json=as_json)


def _most(text: str) -> Decimal:
    """Dollars, of ``--max-cost``. Raises ``Misuse``."""
    try:
        return as_decimal(amount(text))
    except InvalidParameter as error:
        raise Misuse(f"--max-cost: {error}") from None


async def _check_price(connection: Connection, asked: Asked, count: int, most: Decimal) -> None:
    one = (await price(connection, asked))[1].usage.total_cost
    if one * count > most:
        each = f" ({count} at {usd(one)})" if count > 1 else ""
        raise Misuse(f"It would cost {usd(one * count)} USD{each}, over --max-cost {usd(most)}. Nothing was ordered.")
