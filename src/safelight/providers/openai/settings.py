"""What a connection of this kind is told. Where a server deviates from OpenAI's shape is declared, and never guessed.

Each deviation is a quirk, and a key of the connection; a flavor is a set of them, for what the connection leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.connections import HeaderName, HttpConnectionSettings, quirks_over, with_keys_of
from safelight.domain.media import ImageFormat

Flavor = Literal["openai", "vllm-omni", "sglang", "localai", "sd-server", "xai", "openrouter", "model-server"]
SizeStyle = Literal["size", "width-height", "aspect-ratio"]

RESERVED = frozenset(
    {
        "prompt",
        "model",
        "n",
        "size",
        "width",
        "height",
        "aspect_ratio",
        "resolution",
        "image_size",
        "seconds",
        "duration",
        "num_frames",
        "fps",
        "seed",
        "negative_prompt",
        "response_format",
        "output_format",
        "image",
        "images",
        "mask",
        "url",
        "ref_images",
        "file",
        "files",
        "image_url",
        "input_reference",
        "image_reference",
        "video_reference",
        "reference_images",
        "frame_images",
        "input_references",
        "start_image",
        "end_image",
        "batch_count",
        "messages",
        "modalities",
        "stream",
        "partial_images",
        "extra_body",
        "callback_url",
        "webhook_url",
        "generate_sound",
        "generate_audio",
    }
)
"""What an order says itself: no option may say it otherwise."""


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """How a server deviates; OpenAI's own are the defaults. A path is put behind ``base_url``, or beside it (``../``).

    ``images``: ordered at ``/images/generations`` and ``/images/edits``, or by a chat. ``response_format``: what is
    asked for, if anything. ``size``: said as ``size = "1024x1024"``, as ``width`` and ``height``, or as
    ``aspect_ratio`` and ``resolution``, which some spell in lower case. ``output_formats``: those that may be asked
    for; of an edit, ``edit_output_formats``. ``edits``: how a picture is given: as a form's file ``image``, several as
    ``image[]``; as ``image`` each; in JSON as an address; in JSON as ``ref_images`` of a generation; not at all.

    ``videos_path``: where one is ordered; empty: nowhere. ``jobs_path``: where ``/ID`` is asked about.
    ``content_path``: what of it the file is; empty: the job tells an address. ``video_body``: a form, JSON, or JSON
    unless there is a file. ``seconds``: said as the text or the number ``seconds``, as ``duration``, or as
    ``num_frames`` of ``fps``. ``video_references``: one ``input_reference``; ``image`` and ``reference_images``;
    ``frame_images`` and ``input_references``; ``start_image`` and ``end_image``. ``sound``: the switch's name.
    ``cancel``: whether DELETE stops a job. ``poll_seconds``: when to ask, where the server does not say; 0: as ever.
    ``completed_words``, ``failed_words``: statuses besides those that are known to all. ``image_jobs_path``: a picture
    is a job too, asked for by ``Prefer: respond-async``, and this is where ``/ID`` is asked about; empty: it comes in
    the answer to its order. ``own_ids``: an order carries our id of it as ``Idempotency-Key``, and its job has that id.

    ``seed``, ``negative_prompt``: whether and where they are said. ``own_seed``: one is sent where none was asked for,
    as the server would make the same each time. ``extras``: where options go. ``reference_urls``: addresses of
    pictures are data URLs, or links to this service. ``refusal_words``: parts of an error's text, in lower case, that
    tell a refusal by policy. ``repeatable``: an order costs nothing, and may be given again.

    ``models_path``: the list of models, and ``video_models_path`` that of videos if it is another; empty: there is
    none. ``key_path``: what tells whether a key is taken, if the list is open to all. ``lists_models``: a model that is
    not in the list is not there. ``declares_models``: the list tells what each can do, and how it stands.
    """

    images: Literal["images", "chat"] = "images"
    response_format: Literal["b64_json", "url", "none"] = "none"
    size: SizeStyle = "size"
    lower_case_resolution: bool = False
    output_formats: tuple[ImageFormat, ...] = ("png", "jpeg", "webp")
    edit_output_formats: tuple[ImageFormat, ...] = ("png", "jpeg", "webp")
    edits: Literal["image[]", "image", "json", "ref_images", "none"] = "image[]"
    modalities: tuple[str, ...] = ("image", "text")

    videos_path: str = "/videos"
    jobs_path: str = "/videos"
    content_path: str = "/content"
    video_body: Literal["form", "json", "either"] = "form"
    video_size: SizeStyle = "size"
    seconds: Literal["text", "number", "duration", "num_frames"] = "text"
    fps: Annotated[int, Meta(ge=1, le=120)] = 24
    video_references: Literal["input_reference", "image", "frame_images", "start_image", "none"] = "input_reference"
    sound: Literal["generate_sound", "generate_audio", "none"] = "none"
    cancel: Literal["delete", "none"] = "none"
    poll_seconds: Annotated[float, Meta(ge=0, le=60)] = 0.0
    completed_words: tuple[str, ...] = ()
    failed_words: tuple[str, ...] = ()
    image_jobs_path: str = ""
    own_ids: bool = False

    seed: Literal["seed", "none"] = "none"
    own_seed: bool = False
    negative_prompt: Literal["negative_prompt", "after-bar", "none"] = "none"
    extras: Literal["body", "sd_cpp_extra_args"] = "body"
    reference_urls: Literal["data", "link"] = "data"
    refusal_words: tuple[str, ...] = ()
    repeatable: bool = False

    models_path: str = "/models"
    video_models_path: str = ""
    key_path: str = ""
    lists_models: bool = True
    declares_models: bool = False


FLAVORS: dict[Flavor, Quirks] = {
    "openai": Quirks(),
    "vllm-omni": Quirks(
        response_format="b64_json",
        edits="image",
        sound="generate_sound",
        cancel="delete",
        seed="seed",
        negative_prompt="negative_prompt",
        repeatable=True,
    ),
    "sglang": Quirks(
        response_format="b64_json",
        video_body="either",
        seconds="number",
        seed="seed",
        own_seed=True,
        negative_prompt="negative_prompt",
        repeatable=True,
    ),
    "localai": Quirks(
        response_format="b64_json",
        output_formats=(),
        edit_output_formats=(),
        edits="ref_images",
        videos_path="../video",
        video_body="json",
        video_size="width-height",
        seconds="num_frames",
        video_references="start_image",
        negative_prompt="after-bar",
        repeatable=True,
    ),
    "sd-server": Quirks(
        edit_output_formats=("png", "jpeg"),
        videos_path="",
        video_references="none",
        seed="seed",
        own_seed=True,
        negative_prompt="negative_prompt",
        extras="sd_cpp_extra_args",
        repeatable=True,
        lists_models=False,
    ),
    "xai": Quirks(
        response_format="b64_json",
        size="aspect-ratio",
        lower_case_resolution=True,
        output_formats=(),
        edit_output_formats=(),
        edits="json",
        videos_path="/videos/generations",
        content_path="",
        video_body="json",
        video_size="aspect-ratio",
        seconds="duration",
        video_references="image",
        poll_seconds=5.0,
        refusal_words=("content moderation",),
    ),
    "openrouter": Quirks(
        images="chat",
        size="aspect-ratio",
        output_formats=(),
        edit_output_formats=(),
        video_body="json",
        video_size="aspect-ratio",
        seconds="duration",
        video_references="frame_images",
        sound="generate_audio",
        poll_seconds=10.0,
        seed="seed",
        models_path="/models?output_modalities=image",
        video_models_path="/videos/models",
        key_path="/key",
    ),
    "model-server": Quirks(
        response_format="b64_json",
        sound="generate_audio",
        cancel="delete",
        image_jobs_path="/images",
        own_ids=True,
        seed="seed",
        negative_prompt="negative_prompt",
        repeatable=True,
        declares_models=True,
    ),
}


class ServerSettings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is no quirk. ``key_header``: what the key goes in, by itself unless it is ``Authorization``.

    ``headers``: what else each request carries. ``timeout_seconds``: how long an answer to an order is waited for.
    """

    flavor: Flavor = "openai"
    key_header: HeaderName = "Authorization"
    headers: Mapping[HeaderName, str] = msgspec.field(default_factory=dict)
    timeout_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 600.0

    @property
    def quirks(self) -> Quirks:
        """The flavor's, and what the connection says otherwise."""
        return quirks_over(FLAVORS[self.flavor], self)


Settings = with_keys_of(Quirks, ServerSettings, module=__name__)
"""The keys of a connection: those of ``ServerSettings``, and each quirk. None: as the flavor has it."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``body``: what each order carries besides; a request's provider options win over it."""

    body: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if taken := sorted(RESERVED & self.body.keys()):
            raise ValueError(f"body: an order says {', '.join(taken)} by itself")
