"""``safelight`` with less patience and less memory for bodies than it has, so that tests need not wait, nor fill it."""

from __future__ import annotations

import sys

from safelight.api import bodies, waits
from safelight.cli import main, serve

BODIES_BYTES = 1024 * 1024

if __name__ == "__main__":
    serve._SILENCE_MILLISECONDS = 1500
    bodies.PAUSE_SECONDS, bodies.BODY_SECONDS = 1.5, 4.0
    waits.BodyMemory.__init__.__defaults__ = (BODIES_BYTES,)
    sys.exit(main())
