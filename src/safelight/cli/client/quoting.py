"""``safelight quote``: the exact price of what ``generate`` would make."""

from __future__ import annotations

from safelight.cli.client.answers import Quote
from safelight.cli.client.asking import ask, price, prompt_of, usd
from safelight.cli.client.connection import Connection
from safelight.cli.client.output import guarded, note, result, result_json, run
from safelight.cli.client.profiles import find_profile
from safelight.cli.client.targets import target_of
from safelight.cli.client.wishes import Wishes


def quote(prompt: str, wishes: Wishes, *, as_json: bool, profile: str | None) -> int:
    """Ask for the price; the exit status."""
    read: list[str] = []
    status = guarded(lambda: read.append(prompt_of(prompt)))
    if not read:
        return status

    async def work() -> None:
        target = None if wishes.output is None else target_of(wishes.output, count=wishes.count, force=True)
        async with Connection(find_profile(profile)) as connection:
            answer, found = await price(connection, await ask(connection, read[0], wishes, target))
        if as_json:
            result_json(answer.body)
        else:
            result(f"{usd(found.usage.total_cost * wishes.count)} USD")
            note(_words(found, wishes.count))

    return run(work, as_json=as_json)


def _words(found: Quote, count: int) -> str:
    facts = [found.model, f"{found.width}x{found.height}"]
    facts += [found.output_format] if found.output_format else []
    facts += [f"{found.duration} s"] if found.duration else []
    facts += ["with sound"] if found.sound else []
    unit = found.usage.billable_unit.replace("_", " ")
    price_of = (
        f"{found.usage.quantity} {unit}{'s' if found.usage.quantity != 1 else ''} at {usd(found.usage.unit_price)}"
    )
    covered = "" if found.is_covered else "; the balance does not cover it"
    times = f"{count} times " if count > 1 else ""
    return f"{', '.join(facts)}: {times}{price_of}{covered}"
