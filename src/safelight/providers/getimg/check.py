"""A look at a live media generation API: what it says of a model, held against what our catalog promises of it."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from safelight.domain.catalog import Binding, Model, Rate, RateSound
from safelight.domain.errors import ConfigurationError
from safelight.domain.money import format_usd
from safelight.domain.outcomes import Finding
from safelight.domain.pricing import rate_for
from safelight.outbound.backend_api import BackendApi, Exchange, Reply, remedy_of
from safelight.providers.getimg.contract import FIELDS, error_in, nanos_of, read

_SECONDS = 5.0


class _Rate(msgspec.Struct, frozen=True, kw_only=True):
    unit_price: Decimal
    resolution: str | None = None
    sound: RateSound = "not_applicable"


class _Pricing(msgspec.Struct, frozen=True):
    rates: tuple[_Rate, ...] = ()


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it is listed there. The last three are of a Safelight."""

    id: str
    supported_aspect_ratios: tuple[str, ...] = ()
    supported_resolutions: tuple[str, ...] = ()
    supported_durations: tuple[float, ...] = ()
    supported_references: dict[str, int] = {}
    supports_sound: bool = False
    pricing: _Pricing = _Pricing()
    supports_seed: bool = False
    supports_negative_prompt: bool = False
    supported_provider_options: tuple[str, ...] = ()


class _Balance(msgspec.Struct, frozen=True):
    balance: Decimal


async def findings_of(api: BackendApi, model: Model, binding: Binding, *, is_safelight: bool) -> Sequence[Finding]:
    """What there is to say of a binding of the model."""
    models, balance = await asyncio.gather(
        api.call("GET", "/v2/models", query={"type": model.type.value}, deadline_seconds=_SECONDS),
        api.call("GET", "/v2/billing/balance", deadline_seconds=_SECONDS),
    )
    if (trouble := _trouble(models)) is not None:
        return [trouble]
    found = [Finding.ok("key", "it takes the key")]
    entries = read(models, list[_Entry]) if isinstance(models, Reply) else None
    if entries is None:
        return [
            *found,
            Finding.problem("model", "its list of models is not the contract's", "Correct base_url or flavor."),
        ]
    entry = next((each for each in entries if each.id == binding.upstream_model), None)
    if entry is None:
        return [*found, _absent(model, binding, entries), *_balance(balance)]
    found += [
        Finding.ok("model", f"it has {entry.id}"),
        *(
            list(_lacks(model, binding, entry, is_safelight=is_safelight))
            or [Finding.ok("sizes", "it makes all of ours")]
        ),
        *_prices(model, binding, entry),
    ]
    return [*found, *_balance(balance)]


def _trouble(reply: Exchange) -> Finding | None:
    if not isinstance(reply, Reply):
        return Finding.problem(
            "address", reply.detail, remedy_of(reply, "Correct base_url, or see whether the backend is up.")
        )
    if reply.is_ok:
        return None
    words = error_in(reply.json()).message or f"HTTP {reply.status}"
    if reply.status in (401, 403):
        return Finding.problem("key", words, "Correct the connection's key.")
    remedy = (
        "Correct base_url, which ends before /v2."
        if reply.status == 404
        else "Correct base_url, or see to the backend."
    )
    return Finding.problem("address", f"HTTP {reply.status}: {words}", remedy)


def _absent(model: Model, binding: Binding, entries: Iterable[_Entry]) -> Finding:
    ids = [entry.id for entry in entries]
    near = difflib.get_close_matches(binding.upstream_model, ids, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return Finding.problem(
        "model",
        f"it has no {model.type} model {binding.upstream_model!r}",
        f"{hint}Put one of its own into the binding's model: {_listed(ids)}.",
    )


def _lacks(model: Model, binding: Binding, entry: _Entry, *, is_safelight: bool) -> Iterator[Finding]:
    """What the catalog promises and it does not make."""
    resolutions, ratios = set(), set()
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            word = binding.size_word(resolution, ratio)
            parts = word.split() if word is not None else [resolution, ratio]
            if len(parts) != 2:
                yield Finding.problem("sizes", f"{word!r} is no size of its", "Write the word as '2K 16:9'.")
                continue
            resolutions.add(parts[0])
            ratios.add(parts[1])
    yield from _missing("resolutions", resolutions, entry.supported_resolutions)
    yield from _missing("aspect_ratios", ratios, entry.supported_aspect_ratios)
    yield from _missing(
        "durations", model.durations, [int(each) if each.is_integer() else each for each in entry.supported_durations]
    )
    for role, most in model.references.items():
        theirs = entry.supported_references.get(role, 0)
        if theirs < most:
            yield Finding.problem(
                "references",
                f"it takes {theirs} of role {role}, the catalog says {most}",
                "Lower it in the model's references.",
            )
    if model.supports_sound and not entry.supports_sound:
        yield Finding.problem("sound", "it makes none", "Remove supports_sound from the model.")
    if model.supports_seed and not (is_safelight and entry.supports_seed):
        yield Finding.problem("seed", "it takes none", "Remove supports_seed from the model.")
    if model.supports_negative_prompt and not (is_safelight and entry.supports_negative_prompt):
        yield Finding.problem("negative_prompt", "it takes none", "Remove supports_negative_prompt from the model.")
    if is_safelight:
        yield from _missing("provider_options", binding.provider_options, entry.supported_provider_options)
    elif own := FIELDS & set(binding.provider_options):
        said = f"{_listed(sorted(own))} is the contract's own, and is not passed on"
        yield Finding.problem("provider_options", said, "Remove it from the binding's provider_options.")


def _missing(key: str, wanted: Iterable[object], theirs: Sequence[object]) -> Iterator[Finding]:
    missing = [each for each in wanted if each not in theirs]
    if missing:
        remedy = f"It takes: {_listed(theirs)}. Remove the others from the model's {key}"
        say = ", or say its own words in the binding's sizes." if key in ("resolutions", "aspect_ratios") else "."
        yield Finding.problem(key, f"it does not take {_listed(sorted(map(str, missing)))}", remedy + say)


def _prices(model: Model, binding: Binding, entry: _Entry) -> Iterator[Finding]:
    """What each case costs there, beside what the binding says that it does, and beside what we take for it."""
    theirs = _as_ours(model, entry)
    sounds = (True, False) if model.supports_sound else (None,)
    lowest: list[int] = []
    for resolution in model.resolutions:
        costs = []
        for sound in sounds:
            word = binding.size_word(resolution, model.aspect_ratios[0])
            try:
                rate = rate_for(theirs, resolution=word.split()[0] if word else resolution, sound=sound)
            except ConfigurationError:
                yield Finding.warning("price", f"it tells no price of {resolution}", "See its price list.")
                continue
            cost, price = rate.unit_price_nanos, rate_for(model, resolution=resolution, sound=sound).unit_price_nanos
            costs.append(cost)
            if price < cost:
                case = resolution if sound is None else f"{resolution} {'with' if sound else 'without'} sound"
                ours, its = format_usd(price), format_usd(cost)
                yield Finding.warning(
                    "price", f"{case} is sold for ${ours} and costs ${its} a unit", "Raise the model's rate."
                )
        stated = binding.cost_nanos(resolution)
        if costs and stated is not None and stated not in costs:
            its = " or ".join(f"${format_usd(cost)}" for cost in sorted(set(costs)))
            said = f"the binding says that {resolution} costs ${format_usd(stated)} a unit; it says {its}"
            yield Finding.warning("cost", said, "Correct the binding's cost.")
        lowest += costs
    if lowest:
        yield Finding.ok("price", f"a unit costs ${format_usd(min(lowest))} to ${format_usd(max(lowest))} there")


def _as_ours(model: Model, entry: _Entry) -> Model:
    """The model with its rates there, which are looked up by the same rule."""
    unit = model.rates[0].billable_unit
    rates = [
        Rate(billable_unit=unit, unit_price_nanos=price, resolution=rate.resolution, sound=rate.sound)
        for rate in entry.pricing.rates
        if (price := nanos_of(rate.unit_price)) is not None
    ]
    return msgspec.structs.replace(model, rates=tuple(rates))


def _balance(reply: Exchange) -> Iterator[Finding]:
    given = read(reply, _Balance) if isinstance(reply, Reply) and reply.is_ok else None
    if given is None:
        yield Finding.warning("balance", "it does not say what is left", "See the account.")
    elif given.balance <= 0:
        yield Finding.warning("balance", "nothing is left: it declines every order", "Add credit there.")
    else:
        yield Finding.ok("balance", f"${given.balance} is left")


def _listed(words: Iterable[object]) -> str:
    return ", ".join(map(str, words)) or "none"
