"""What a process shows of its own state, looked at when its metrics are put on record."""

from __future__ import annotations

import math
import time
from functools import partial

from safelight.db.pool import Database
from safelight.domain.catalog import Catalog
from safelight.lifecycle.breaker import Breakers
from safelight.node.settings import Settings
from safelight.telemetry import metrics
from safelight.wiring.opening import check_provenance


def show_state(settings: Settings, db: Database, catalog: Catalog, breakers: Breakers) -> None:
    """From here on these are what is shown; at a reload others take their place."""
    metrics.DB_POOL_WAITING.set_function(db.waiting)
    metrics.BREAKER_OPEN.clear()
    for connection in catalog.used_connections():
        shown = metrics.BREAKER_OPEN.labels(connection.kind, connection.name)
        shown.set_function(partial(_is_left_alone, breakers, connection.name))
    ends = check_provenance(settings)
    metrics.CERTIFICATE_SECONDS.set_function(lambda: math.nan if ends is None else ends.timestamp() - time.time())


def _is_left_alone(breakers: Breakers, connection: str) -> bool:
    return breakers.seconds_closed(connection) > 0
