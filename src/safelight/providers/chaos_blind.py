"""The chaos backend that cannot be asked for a job by our id, nor to stop one."""

from __future__ import annotations

from safelight.domain.ports import ProviderKind
from safelight.providers.chaos import BlindChaosProvider, Options, Settings, open_with

KIND = ProviderKind(
    settings=Settings, options=Options, open=lambda settings, host: open_with(BlindChaosProvider, settings, host)
)
