"""``safelight models``: what the catalog has, what it is bound to, and whether that works."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from safelight import wiring
from safelight.accounts.margins import RecentLosses, recent_losses
from safelight.cli.database import database_url, work_on
from safelight.cli.model_checks import Found, of_backends, of_catalog
from safelight.cli.model_facts import connection_facts, cost_in_words, full, listed, price_in_words
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import cell, console, print_json, print_table
from safelight.db.pool import Database
from safelight.domain.catalog import Catalog, Model
from safelight.domain.errors import ConfigurationError, SafelightError
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR
from safelight.domain.text import quoted
from safelight.lifecycle.records import ConnectionUse, connections_under_way
from safelight.node.settings import Settings, load_settings
from safelight.telemetry.logs import configure_logging

_MODELS = ["id", "type", "prices", "supports", "connection", "kind", "model", "cost"]
_CONNECTIONS = ["name", "kind", "models", "under_way", "losses_in_a_day", "lost_in_a_day", "state"]
_RATES = ["resolution", "sound", "unit_price", "unit"]
_MARGINS = ["of", "price", "cost", "margin", "percent"]
_BINDING = ["state", "address", "keys", "model", "options", "sizes", "provider_options"]
_MOST_NAMES = 3
_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("problem", "bold red")}

ModelId = Annotated[str, Parameter(name="model", help="The model's id.")]


def list_all(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List models with their prices and bindings, and the state of each connection."""
    settings = load_settings(data_dir=data_dir)
    catalog = wiring.read_declared(settings)
    models = [listed(model, catalog) for model in catalog.models.values()]
    bound = Counter(name for model in catalog.models.values() for name in {b.connection for b in model.bindings})
    connections = [connection_facts(each, settings, bound[each.name]) for each in catalog.connections.values()]
    why_not = _add_use(settings, connections)
    if as_json:
        print_json({"models": models, "connections": connections, "database": why_not or "ready"})
        return
    print("Prices and costs are US dollars an image, or a second of video. Bindings are asked in their order.")
    print_table([row for model in models for row in _rows(model)], columns=_MODELS, empty="There are no models.")
    print()
    print_table(connections, columns=_CONNECTIONS, empty="There are no connections.")
    if why_not:
        print(f"What is under way and what was lost is not known: {cell(why_not)}")


def show(model: ModelId, /, *, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show everything that the catalog says of a model."""
    settings = load_settings(data_dir=data_dir)
    catalog = wiring.read_declared(settings)
    facts = full(_find(catalog, model), catalog, settings)
    if as_json:
        print_json(facts)
        return
    for name in ("id", "name", "type", "created_at", "resolutions", "aspect_ratios", "durations", "references"):
        _line(name, facts[name])
    for name in ("supports_sound", "supports_seed", "supports_negative_prompt", "provider_options", "deadline_seconds"):
        _line(name, facts[name])
    print("The first of each list is the default.\n")
    sizes = [{"resolution": resolution, **ratios} for resolution, ratios in facts["sizes"].items()]
    print_table(sizes, columns=["resolution", *facts["aspect_ratios"]], empty="There are no sizes.")
    print()
    print_table(facts["rates"], columns=_RATES, empty="There are no rates.")
    for place, binding in enumerate(facts["bindings"], 1):
        print(f"\n{place}. {binding['connection']}, of kind {binding['kind']}")
        for name in _BINDING:
            _line(name, binding[name], indent="   ")
        print_table(binding["margins"], columns=_MARGINS, empty="")


def check(
    model: Annotated[str | None, Parameter(name="model", help="The model's id. Without it: every model.")] = None,
    /,
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> int:
    """Ask each live backend about its models, and order nothing; exit status 1 if there is a problem."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings)
    catalog = wiring.read_declared(settings)
    models = list(catalog.models.values()) if model is None else [_find(catalog, model)]
    found = [*of_catalog(settings, catalog, models), *asyncio.run(of_backends(settings, catalog, models))]
    count = Counter(each.level for each in found)
    if as_json:
        print_json({"ok": not count["problem"], "findings": found})
    else:
        _print_findings(found)
        print(f"Problems: {count['problem']}. Warnings: {count['warning']}.")
    return 1 if count["problem"] else 0


def init(
    path: Annotated[Path, Parameter(name="path", help="The file to write. Without it: catalog.toml.")] = Path(
        "catalog.toml"
    ),
    /,
) -> None:
    """Write a catalog to start from. A file that is there stays as it is."""
    text = starter()
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()  # no half of one
                raise
    except FileExistsError:
        raise ConfigurationError(f"There is {path} already. Name another file.") from None
    print(f"Wrote {cell(path)}. Uncomment what you need, then set SAFELIGHT_CATALOG to it.")
    print("'safelight models check' says what does not work yet.")


def starter() -> str:
    """The models that ship, and a commented block for each kind of backend that has one."""
    package = resources.files("safelight")
    shipped = package.joinpath("catalog.toml").read_text("utf-8")
    parts = [package.joinpath("starters", "_head.toml").read_text("utf-8"), shipped[shipped.index("[[models]]") :]]
    for kind in wiring.kinds():
        block = package.joinpath("starters", f"{kind}.toml")
        if block.is_file():
            parts.append(_commented(block.read_text("utf-8")))
    return "\n".join(parts)


def _commented(block: str) -> str:
    """Each line of it that says something begins with ``#`` and no space; notes begin with ``# `` as they did."""
    return "".join(line if line.startswith(("#", "\n")) else f"#{line}" for line in block.splitlines(keepends=True))


def _add_use(settings: Settings, connections: list[dict[str, Any]]) -> str | None:
    """Put what the database knows of each connection into its facts; why not, if it does not answer."""
    used: dict[str, int] | None = None
    lost: dict[str, RecentLosses] | None = None
    why_not = None
    try:
        with database_url(settings) as url:
            used, lost = work_on(url, _use)
    except SafelightError as error:
        why_not = error.message
    for facts in connections:
        name = facts["name"]
        loss = None if lost is None else lost.get(name)
        facts["under_way"] = None if used is None else used.get(name, 0)
        facts["losses_in_a_day"] = None if lost is None else 0 if loss is None else loss.losses
        facts["lost_in_a_day"] = None if lost is None else format_usd(0 if loss is None else loss.lost_nanos)
    return why_not


async def _use(database: Database) -> tuple[dict[str, int], dict[str, RecentLosses]]:
    used: Sequence[ConnectionUse] = await connections_under_way(database)
    lost = await recent_losses(OPERATOR, database)
    return {each.connection: each.generations for each in used}, {each.connection: each for each in lost}


def _find(catalog: Catalog, model_id: str) -> Model:
    if model_id not in catalog.models:
        raise ConfigurationError(
            f"There is no model {quoted(model_id)}. 'safelight models list' shows those that exist."
        )
    return catalog.models[model_id]


def _rows(model: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each binding; what is the model's own stands in the first."""
    own = {
        "id": model["id"],
        "type": model["type"],
        "prices": ", ".join(map(price_in_words, model["prices"])),
        "supports": ", ".join(model["supports"]) or "-",
    }
    nothing = dict.fromkeys(own, "")
    return [
        {**(nothing if place else own), **binding, "cost": cost_in_words(binding["cost"])}
        for place, binding in enumerate(model["bindings"])
    ]


def _line(name: str, value: Any, *, indent: str = "") -> None:
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {inner}" for key, inner in value.items()) or None
    elif isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value)) or None
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    if value is not None:
        print(f"{indent}{name.replace('_', ' '):25} {cell(value)}")


def _print_findings(found: Sequence[Found]) -> None:
    out = console()
    for each in found:
        mark, style = _MARKS[each.level]
        more = len(each.models) - _MOST_NAMES
        names = ", ".join(each.models[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        where = ": ".join(filter(None, (each.connection, names, each.subject)))
        said = f"{each.text.removesuffix('.')}. {each.remedy}" if each.remedy else each.text
        line = Text(f" {mark:<8}", style=style) + Text(f"{cell(where)}  ", style="bold") + Text(cell(said))
        out.print(line, soft_wrap=not out.is_terminal)
