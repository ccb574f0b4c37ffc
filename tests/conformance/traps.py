"""What the files of answers that are easily misread have in common.

Each such file has ``TRAPS``: every answer that it tries by name, with the code that the client is told at the end, None
for the media, or ``WAITS``.
"""

from __future__ import annotations

WAITS = "unknown"
"""Nobody can say whether the order was taken: it waits with its price held, and is not given again."""
