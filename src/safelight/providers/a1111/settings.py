"""What a connection of this kind is told. Where a server deviates is declared, and never guessed.

Each deviation is a quirk, and a key of the connection; a flavor is a set of them, for what the connection leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.connections import HeaderName, HttpConnectionSettings, quirks_over, with_keys_of

Flavor = Literal["a1111", "forge", "sdnext", "sd-server"]

MODEL_SETTING = "sd_model_checkpoint"
RESERVED = frozenset(
    {
        "prompt",
        "negative_prompt",
        "negative",
        "width",
        "height",
        "width_before",
        "height_before",
        "seed",
        "batch_size",
        "batch_count",
        "n_iter",
        "send_images",
        "save_images",
        "do_not_save_samples",
        "do_not_save_grid",
        "init_images",
        "include_init_images",
        "extra_images",
        "inputs",
        "inits",
        "init_control",
        "init_image",
        "last_image",
        "condition_image",
        "condition_last",
        "override_settings_restore_afterwards",
        "force_task_id",
        "infotext",
        "extra",
        "type",
        "priority",
        "engine",
        "model",
        "frames",
        "fps",
        "audio_enable",
        "save_video",
        "format",
    }
)
"""What an order says itself, or what would say it another way: no option may."""


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """How a server deviates; the defaults are those of AUTOMATIC1111.

    ``jobs``: orders are jobs of ``/sdapi/v2``, which can be asked about and stopped; videos are made in no other way.
    ``model_choice``: the binding's model is loaded for the order, by ``override_settings``; or there is one model.
    ``verify_model``: a picture that the server says is another model's is none.
    ``references``: the picture to begin with (``init_images``), pictures to follow (``extra_images``), or none; a job
    takes ``inputs`` wherever there are any. ``max_references``: so many of them.
    ``own_seed``: one is sent where none was asked for, as the server does not tell which it took.
    ``progress``: asked for by the order's own id, or for the whole server (``alone``: nobody else orders there).
    ``tells_interrupts``: it says afterwards that somebody stopped a picture halfway.
    ``tagged_prompts``: it reads arguments from a tag in the prompt, which is therefore broken.
    ``repeatable``: an order costs nothing, and may be given again.
    """

    jobs: bool = False
    model_choice: Literal["override_settings", "none"] = "override_settings"
    verify_model: bool = True
    references: Literal["init_images", "extra_images", "none"] = "init_images"
    max_references: Annotated[int, Meta(ge=1, le=64)] = 1
    own_seed: bool = False
    progress: Literal["task", "alone", "none"] = "task"
    tells_interrupts: bool = True
    tagged_prompts: bool = False
    repeatable: bool = True


FLAVORS: dict[Flavor, Quirks] = {
    "a1111": Quirks(),
    "forge": Quirks(),
    "sdnext": Quirks(jobs=True, own_seed=True, progress="none"),
    "sd-server": Quirks(
        model_choice="none", own_seed=True, progress="none", tells_interrupts=False, tagged_prompts=True
    ),
}


class ServerSettings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is no quirk. ``key``: the password of ``user``, or ``user:password`` by itself (HTTP Basic, RFC 7617).

    ``headers``: what else each request carries. ``timeout_seconds``: how long an answer to an order is waited for.
    """

    flavor: Flavor = "a1111"
    user: Annotated[str, Meta(pattern="^[^:]+$", description="a name without a colon")] | None = None
    headers: Mapping[HeaderName, str] = msgspec.field(default_factory=dict)
    timeout_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 3600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        quirks = self.quirks
        if self.user is not None and self.key is None:
            raise ValueError("user: its password is missing; name it as key")
        if quirks.progress == "alone" and self.limits.concurrency != 1:
            raise ValueError(
                "progress: alone takes limits.concurrency = 1, as the server tells it of whatever it makes"
            )
        if quirks.max_references > 1 and not quirks.jobs and quirks.references == "init_images":
            raise ValueError("max_references: init_images takes one; references = extra_images takes more")

    @property
    def quirks(self) -> Quirks:
        """The flavor's, and what the connection says otherwise."""
        return quirks_over(FLAVORS[self.flavor], self)


Settings = with_keys_of(Quirks, ServerSettings, module=__name__)
"""The keys of a connection: those of ``ServerSettings``, and each quirk. None: as the flavor has it."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``body``: what each order carries besides; a request's provider options win over it.

    Of videos: ``job``, the type of job that makes them; ``engine``, the group that its model is listed in; ``fps``;
    ``frames_step``: the model makes one frame more than a multiple of this.
    """

    body: dict[str, Any] = {}
    job: Literal["video", "ltx"] = "video"
    engine: str = ""
    fps: Annotated[int, Meta(ge=1, le=120)] = 24
    frames_step: Annotated[int, Meta(ge=1, le=1000)] = 1

    def __post_init__(self) -> None:
        if (why := unfit_options(self.body)) is not None:
            raise ValueError(f"body: {why}")


def unfit_options(options: Mapping[str, Any]) -> str | None:
    """Why these cannot go along with an order."""
    if taken := sorted(RESERVED & options.keys()):
        return f"an order says {', '.join(taken)} by itself"
    settings = options.get("override_settings", {})
    if not isinstance(settings, dict):
        return "override_settings is no table"
    return f"the binding's model says {MODEL_SETTING} by itself" if MODEL_SETTING in settings else None
