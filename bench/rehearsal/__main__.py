"""Rehearse: run the phases under load, print what clients saw, and prove that nothing was lost, doubled or stuck."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from bench.rehearsal import report
from bench.rehearsal.load import Load, Webhooks
from bench.rehearsal.phases import BRIEF, PHASES, Pace
from bench.rehearsal.proof import prove
from bench.rehearsal.site import Site, site
from bench.servers import BenchError, folder
from safelight.accounts.webhooks import create_endpoint
from safelight.node.settings import load_settings
from safelight.wiring import outbound_policy
from tests.support.postgres import open_database
from tests.support.tenants import Tenant, make_tenant

_IMAGES, _VIDEOS = 6, 4
_JOB_SECONDS, BRIEF_JOB_SECONDS = 1.0, 0.2

app = App(name="rehearsal", help="Rehearse outages on several nodes. docs/benchmarks.md has what was found.")
_console = Console(stderr=True, highlight=False, soft_wrap=True)


@app.default
def rehearse(
    *,
    phases: Annotated[list[str] | None, Parameter(help=f"Phases to run; of {', '.join(PHASES)}.")] = None,
    brief: Annotated[bool, Parameter(negative="", help="Shorter outages, to see whether it works.")] = False,
    markdown: Annotated[bool, Parameter(negative="", help="Print the last results as Markdown; run nothing.")] = False,
) -> int:
    """Run the phases; exit 1 if anything was lost, doubled or stuck, or a sum is wrong."""
    if markdown:
        try:
            print(report.markdown(report.load_results()))
        except FileNotFoundError:
            print("There was no rehearsal yet: run it without --markdown first.", file=sys.stderr)
            return 1
        return 0
    chosen = [name for each in phases or PHASES for name in each.split(",")]
    unknown = set(chosen) - set(PHASES)
    if unknown:
        print(f"There is no phase {', '.join(sorted(unknown))}. There are: {', '.join(PHASES)}.", file=sys.stderr)
        return 2
    try:
        found = asyncio.run(run(chosen, BRIEF if brief else Pace(), BRIEF_JOB_SECONDS if brief else _JOB_SECONDS))
    except BenchError as error:
        _console.print(str(error), style="red", markup=False)
        return 1
    if not brief:
        report.save(found)
    # Where the output goes to a file, no column may be cut.
    report.show(found, Console(width=None if sys.stdout.isatty() else 200))
    return 0 if found.proof.holds else 1


async def run(names: list[str], pace: Pace, job_seconds: float) -> report.Results:
    """Set the site up, run the phases under load, and prove what is left."""
    with folder() as base:
        base.chmod(0o711)  # PostgreSQL may run as another user
        _say("starting PostgreSQL, an S3 server, nginx, two API nodes and two workers")
        with site(base, job_seconds=job_seconds) as made:
            webhooks = Webhooks()
            async with webhooks.listening():
                tenant = await open_workspace(made, webhooks)
                load = Load(made.address, tenant.key)
                await under_load(made, load, names, pace)
                _say("at the end")
                return report.results(names, load, await prove(made, load, webhooks, tenant.headers))


async def under_load(made: Site, load: Load, names: list[str], pace: Pace) -> None:
    """Run the phases, with clients at work from the first to the last."""
    load.phase = names[0]
    async with load.at_work(_IMAGES, _VIDEOS):
        for name in names:
            began = time.monotonic()
            load.phase = name
            await asyncio.sleep(pace.before)
            await PHASES[name](made, pace)
            await asyncio.sleep(pace.calm)
            _say(f"{name}: {time.monotonic() - began:.0f} s")


async def open_workspace(made: Site, webhooks: Webhooks) -> Tenant:
    """A workspace with credit and a key, whose events go to the webhooks."""
    async with open_database(made.database.url) as db:
        tenant = await make_tenant(db, "rehearsal", usd="100000")
        policy = outbound_policy(load_settings(made.environment))
        await create_endpoint(tenant.scope, db, url=webhooks.url, policy=policy)
        return tenant


def _say(text: str) -> None:
    _console.print(f"rehearsal: {text}", style="dim")


if __name__ == "__main__":
    sys.exit(app())
