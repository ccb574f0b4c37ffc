"""A look at a live API: is it there, does it take the key, has it the model, can it be told what the model offers.

Nothing is ordered. What is said to be refused is refused for certain; what is not known is a warning, or not said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from safelight.domain.catalog import Binding, Model
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Failed, FailureClass, Finding
from safelight.outbound.backend_api import NoReply, NotSent, Reply, remedy_of
from safelight.providers.google.errors import read_error, reason_of
from safelight.providers.google.saying import unsayable_of, unsayable_type
from safelight.providers.google.settings import Api, Options, Settings, is_said_by_order

Ask = Callable[[str, float], Awaitable[Reply | NotSent | NoReply | Failed]]

_SECONDS = 8.0
_RATIOS: dict[tuple[Api, GenerationType], frozenset[str]] = {
    ("veo", GenerationType.VIDEO): frozenset({"16:9", "9:16"}),
    ("interactions", GenerationType.VIDEO): frozenset({"16:9", "9:16"}),
}
_RATIOS_OF_PICTURES = frozenset(
    {"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:8", "8:1", "1:4", "4:1"}
)
_RESOLUTIONS = {
    GenerationType.IMAGE: frozenset({"512", "1K", "2K", "4K"}),
    GenerationType.VIDEO: frozenset({"360p", "720p", "1080p", "4k"}),
}
"""As the official client has them. Models differ, and there may be more by now."""


async def look(ask: Ask, settings: Settings, model: Model, binding: Binding) -> Sequence[Finding]:
    options = binding.options
    assert isinstance(options, Options)
    api = settings.api_of(model.type, options)
    answer = await ask(settings.facts_path(binding.upstream_model), _SECONDS)
    return [*_of_answer(answer, settings, api, binding), *_of_catalog(settings, api, options, model, binding)]


def _of_answer(
    answer: Reply | NotSent | NoReply | Failed, settings: Settings, api: Api, binding: Binding
) -> Iterator[Finding]:
    secret = "key" if settings.platform == "gemini" else "credentials"
    match answer:
        case Failed(FailureClass.AUTH):
            said = " ".join(filter(None, (answer.answer.code, answer.answer.words)))
            yield Finding.problem(secret, f"{answer.detail}: {said}", "Correct the connection's credentials.")
        case Failed():
            yield Finding.problem(secret, answer.detail, "See whether the token endpoint can be reached from here.")
        case NotSent() | NoReply():
            remedy = remedy_of(answer, "Correct base_url or location, or see whether the network lets it through.")
            yield Finding.problem("address", answer.detail, remedy)
        case Reply() if answer.is_ok:
            yield from _of_model(answer, api, binding)
        case Reply():
            yield _of_refusal(answer, settings, secret, binding)


def _of_refusal(reply: Reply, settings: Settings, secret: str, binding: Binding) -> Finding:
    error = read_error(reply.json())
    words = f"HTTP {reply.status}" + (f": {error.words}" if error is not None and error.words else "")
    reason = None if error is None else reason_of(error, settings)
    if reply.status in (401, 403) or reason is FailureClass.AUTH:
        remedy = f"Correct the connection's {secret}, and see that the API is enabled for its project."
        return Finding.problem(secret, words, remedy)
    if reply.status == 404 and error is not None:
        text = f"there is no {binding.upstream_model}, or not for this {secret} and place ({words})"
        return Finding.problem("model", text, "Name a model that is there; it may be retired, or in another location.")
    if reply.status == 404:
        return Finding.problem("address", words, "Correct base_url, which ends before the version, or api_version.")
    return Finding.warning("address", words, "See to the backend, or look again later.")


def _of_model(reply: Reply, api: Api, binding: Binding) -> Iterator[Finding]:
    document = reply.json()
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        yield Finding.problem("address", "what answers is no such API", "Correct base_url or api_version.")
        return
    yield Finding.ok("key", "it takes the key")
    yield Finding.ok("model", f"{binding.upstream_model} is there")
    methods = document.get("supportedGenerationMethods")
    if api == "generate-content" and isinstance(methods, list) and methods and "generateContent" not in methods:
        yield Finding.warning("api", "the model does not list generateContent", 'Try api = "interactions".')


def _of_catalog(settings: Settings, api: Api, options: Options, model: Model, binding: Binding) -> Iterator[Finding]:
    """What the catalog offers, and this API cannot be told."""
    if (why := unsayable_type(model.type, api, settings, options)) is not None:
        yield Finding.problem("api", why, "Correct the binding's options, or bind the model to another connection.")
        return
    for subject, why, remedy in unsayable_of(model, api):
        yield Finding.problem(subject, why, remedy)
    if taken := sorted(name for name in binding.provider_options if is_said_by_order(name)):
        text = f"an order says {', '.join(taken)} by itself, and refuses it as an option"
        yield Finding.problem("provider_options", text, "Take it out of the binding's provider_options.")
    yield from _of_sizes(api, model, binding)


def _of_sizes(api: Api, model: Model, binding: Binding) -> Iterator[Finding]:
    ratios = _RATIOS.get((api, model.type), _RATIOS_OF_PICTURES)
    odd: set[str] = set()
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            parts = (binding.size_word(resolution, ratio) or resolution).split()
            if not 1 <= len(parts) <= 2:
                remedy = "Write it as '2K' or '2K 16:9'."
                yield Finding.problem("sizes", f"the word of {resolution} {ratio} is not one or two", remedy)
                continue
            told_ratio = parts[1] if len(parts) == 2 else ratio
            odd |= {parts[0]} - _RESOLUTIONS[model.type] - {"auto"} | {told_ratio} - ratios - {"auto"}
    if odd:
        text = f"{', '.join(sorted(odd))}: no word of this API's that is known here"
        yield Finding.warning("sizes", text, "If orders come to nothing, give its own words in the binding's sizes.")
