"""A process that asks for four images, and waits for them: ``python -m tests.durability.several SECRET KEY``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys

from safelight.accounts.keys import Authenticator
from safelight.domain.generations import GenerationType
from safelight.domain.request import ImageInput, Request
from safelight.lifecycle.make import outcomes, start
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, submit_all
from safelight.node.settings import load_settings
from safelight.wiring import open_parts
from tests.durability.test_crash_walk_images import REFERENCE

COUNT = 4


async def ask(secret: str, key: str) -> list[str]:
    """The ids of those that are there in the end."""
    async with open_parts(load_settings(os.environ)) as parts:
        request = Request(
            type=GenerationType.IMAGE, model="sync", prompt="a slope", images=(ImageInput(url=REFERENCE),)
        )
        submission = Submission(
            principal=await Authenticator(parts.db).authenticate(f"Bearer {secret}"),
            request=request,
            body_sha256=hashlib.sha256(b"a body").digest(),
            idempotency_key=key,
        )
        runner = Runner(parts.running)
        accepted = await submit_all(parts.submitting, submission, COUNT)
        started = [start(runner, each) for each in accepted]
        made = await outcomes(parts.submitting, parts.viewing, runner, submission, started)
        await runner.close(0)
        return [each.view.id for each in made if each.error is None]


if __name__ == "__main__":
    print(" ".join(asyncio.run(ask(*sys.argv[1:]))))
