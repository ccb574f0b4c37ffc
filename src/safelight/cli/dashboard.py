"""``safelight dashboard``: a link that lets the operator in, once."""

from __future__ import annotations

import webbrowser
from typing import Annotated

from cyclopts import Parameter

from safelight.accounts.sessions import LINK_SECONDS, create_link
from safelight.cli.audit import user_name
from safelight.cli.database import database_url, refusals_explained, work_on
from safelight.cli.options import DataDir
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError
from safelight.domain.scope import OPERATOR
from safelight.node.settings import Settings, load_settings


def dashboard(
    *,
    open_: Annotated[bool, Parameter(name="--open", help="Open it in the browser of this desktop.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Print a link to the dashboard that works once, for ten minutes."""
    settings = load_settings(data_dir=data_dir)
    if settings.dashboard == "off":
        raise ConfigurationError("The dashboard is off. Set SAFELIGHT_DASHBOARD to on, and start again.")
    with database_url(settings) as url, refusals_explained(settings):
        link = work_on(url, lambda database: make_link(settings, database))
    print(link)
    if open_ and not webbrowser.open(link):
        raise ConfigurationError("There is no browser on this machine. Open the link in another.")


async def make_link(settings: Settings, database: Database) -> str:
    """A link for whoever runs this process. What follows ``#`` reaches no server's log."""
    code = await create_link(OPERATOR, database, f"{user_name()} on the machine", seconds=LINK_SECONDS)
    return f"{settings.base_url}/dashboard/login#{code}"
