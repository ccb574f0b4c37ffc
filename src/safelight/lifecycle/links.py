"""Addresses of ours that a backend is given: of reference images, and of where it may tell that something happened.

They end at round times, so that an order which is given again in the meantime is the same to the byte.
"""

from __future__ import annotations

import time

from safelight.domain.signing import REFERENCE, LinkSigner

_REFERENCE_SECONDS = 3600
_CALLBACK_SECONDS = 31 * 24 * 3600
"""Longer than any deadline."""


class BackendLinks:
    """Makes the links that a job takes along."""

    def __init__(self, signer: LinkSigner) -> None:
        self._signer = signer

    def reference(self, generation_id: str, index: int) -> str:
        """A link to a reference image, good for an hour from now, or up to two."""
        return self._signer.url(generation_id, index, _end(_REFERENCE_SECONDS, 3600), variant=REFERENCE)

    def callback(self, connection: str, job_id: str) -> str:
        """Where a backend may tell of a job, for as long as that can last (see ``safelight.api.hints``)."""
        return self._signer.hint_url(connection, job_id, _end(_CALLBACK_SECONDS, 24 * 3600))


def _end(seconds: int, round_to: int) -> int:
    """A Unix second that is so far away, or up to ``round_to`` farther."""
    return -(-(int(time.time()) + seconds) // round_to) * round_to
