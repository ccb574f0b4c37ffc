"""Another take of a generation: what was asked for then, with another prompt."""

from __future__ import annotations

from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.generations import State
from safelight.domain.request import Request
from safelight.lifecycle.views import GenerationDetail


def take_of(found: GenerationDetail, prompt: str, *, most_retention_seconds: int) -> Request:
    """The request for another take of a generation, with its references.

    Its media is kept as that of the first is, for no longer than is allowed by now. Raises ``InvalidParameter`` if the
    first is not completed, and ``NotFound`` once what was asked for is gone with its media.
    """
    view, spec = found.view, found.spec
    if view.state is not State.COMPLETED:
        raise InvalidParameter(f"{view.id} is not completed. Another take can be made of one that is.", param="id")
    if spec is None:
        raise NotFound(f"What was asked for is gone with the media of {view.id}. Make a new one.")
    return Request(
        type=view.type,
        model=view.model,
        prompt=prompt,
        aspect_ratio=spec.aspect_ratio,
        resolution=spec.resolution,
        output_format=spec.output_format,
        duration=spec.duration_seconds,
        sound=spec.sound,
        seed=spec.seed,
        negative_prompt=spec.negative_prompt,
        provider_options=spec.provider_options or None,
        references=spec.references,
        retention_seconds=min(found.retention_seconds, most_retention_seconds),
        store=found.is_stored,
    )
