"""What ``generate`` and ``quote`` are asked for, as options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from safelight.cli.client.options import Output
from safelight.cli.numbers import whole

MOST_AT_ONCE = 100


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The options of a request, as they were given."""

    model: Annotated[
        str | None,
        Parameter(help="A model's id. Without it: the first that makes images, or videos for a file that is an .mp4."),
    ] = None
    output: Output = None
    images: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--image", "-i"],
            negative="",
            show_default=False,
            help="A reference: a file, an https address, or the req-... of an earlier image. first:, last: or ref: "
            "before it says what it is for.",
        ),
    ] = ()
    aspect_ratio: Annotated[str | None, Parameter(help="One that the model has, such as 16:9.")] = None
    resolution: Annotated[str | None, Parameter(help="One that the model has, such as 2K.")] = None
    format: Annotated[
        str | None, Parameter(help="png, jpeg or webp, of an image. Without it: as the file is called, or else jpeg.")
    ] = None
    duration: Annotated[int | None, Parameter(help="Seconds of a video."), whole(1, 3600)] = None
    sound: Annotated[bool | None, Parameter(help="Whether a video has sound.")] = None
    seed: Annotated[
        int | None, Parameter(help="The same seed, the same picture, where the model takes one."), whole(0, 2**32 - 1)
    ] = None
    negative_prompt: Annotated[str | None, Parameter(help="What to avoid, where the model takes it.")] = None
    option: Annotated[
        tuple[str, ...],
        Parameter(
            negative="", show_default=False, help="NAME=VALUE for the backend; a VALUE that is JSON is taken as that."
        ),
    ] = ()
    count: Annotated[int, Parameter(help="How many to make."), whole(1, MOST_AT_ONCE)] = 1
