"""Addresses of ours that a backend is given: of reference images, and of where it may tell that something happened."""

from __future__ import annotations

import time

from safelight.domain.signing import LinkSigner

REFERENCE = "reference"
"""The variant of a link that leads to a reference image, by its index."""

_REFERENCE_SECONDS = 3600


class BackendLinks:
    """Makes the links that a job takes along."""

    def __init__(self, signer: LinkSigner) -> None:
        self._signer = signer

    def reference(self, generation_id: str, index: int) -> str:
        """A link to a reference image, good for an hour from now."""
        return self._signer.url(generation_id, index, int(time.time()) + _REFERENCE_SECONDS, variant=REFERENCE)

    def callback(self, connection: str, job_id: str) -> str:
        return ""
