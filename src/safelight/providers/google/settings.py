"""What a connection and a binding are told. What Google does not document is declared here, and can be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from safelight.domain.connections import BaseUrl, HttpConnectionSettings, Secret
from safelight.domain.generations import GenerationType

Platform = Literal["gemini", "vertex"]
Api = Literal["generate-content", "interactions", "veo"]
Word = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.:-]+$", description="one word of letters, digits, '.', ':', '_', '-'")
]
Address = Annotated[
    str, Meta(pattern=r"^https?://[^\s/?#@]+$", description="an address such as https://storage.googleapis.com")
]

GEMINI_URL = "https://generativelanguage.googleapis.com"
API_VERSIONS: dict[Platform, str] = {"gemini": "v1", "vertex": "v1beta1"}
_MULTI_REGIONS = ("us", "eu")


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told. ``base_url`` is Google's own for the platform and the location unless said.

    ``platform``: the Gemini Developer API, which takes ``key``; or Vertex, which takes ``credentials`` (the JSON of a
    service account, or of an authorized user) or else ``metadata_url``, where a machine of Google's own gives tokens.
    ``project`` and ``location`` are of Vertex. ``api_version``: the first part of each path. ``api_revision``: the
    revision of Interactions that is asked for, if any. ``user_project``: the project that requests count for, if
    it is another than the key's or the account's. ``storage_url``: where ``gs://`` addresses are read.

    ``timeout_seconds``: how long an answer to an order is waited for. ``poll_seconds``: when a job is asked about.
    ``refusal_words``, ``quota_words``: parts of an error's text, in lower case, that tell a refusal by policy, or that
    no waiting mends a 429.
    """

    base_url: BaseUrl = ""
    platform: Platform = "gemini"
    credentials: Secret | None = None
    metadata_url: Address | None = None
    project: Word | None = None
    location: Word = "global"
    api_version: Word | None = None
    api_revision: Word | None = None
    user_project: Word | None = None
    storage_url: Address = "https://storage.googleapis.com"
    timeout_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    poll_seconds: Annotated[float, Meta(ge=0, le=60)] = 10.0
    refusal_words: tuple[str, ...] = (
        "usage guidelines",
        "responsible ai",
        "safety filter",
        "safety reason",
        "safety polic",
        "prohibited use",
        "sensitive words",
        "content policy",
        "policy violation",
        "violates our polic",
        "violate our polic",
    )
    quota_words: tuple[str, ...] = (
        "limit: 0",
        "per day",
        "perday",
        "credits are depleted",
        "spending cap",
        "insufficient funds",
    )

    def __post_init__(self) -> None:
        if self.platform == "gemini":
            self._check_gemini()
        else:
            self._check_vertex()
        if not self.base_url:
            msgspec.structs.force_setattr(self, "base_url", self._own_url())
        HttpConnectionSettings.__post_init__(self)

    @property
    def version(self) -> str:
        return self.api_version or API_VERSIONS[self.platform]

    @property
    def root(self) -> str:
        """What the paths of the API begin with."""
        if self.platform == "gemini":
            return f"/{self.version}"
        return f"/{self.version}/projects/{self.project}/locations/{self.location}"

    def model_path(self, upstream_model: str) -> str:
        """The path of a model: a plain name, or a resource's with slashes in it."""
        parts = (part for part in upstream_model.split("/") if part not in ("", ".", ".."))
        name = "/".join(quote(part, safe="@:-._~") for part in parts)
        if self.platform == "gemini":
            return f"{self.root}/{name if '/' in name else f'models/{name}'}"
        if name.startswith("projects/"):
            return f"/{self.version}/{name}"
        return f"{self.root}/{name if '/' in name else f'publishers/google/models/{name}'}"

    def facts_path(self, upstream_model: str) -> str:
        """Where a model is told of; on Vertex those of publishers belong to no project."""
        path = self.model_path(upstream_model)
        _, is_publishers, name = path.partition("/publishers/")
        return f"/{self.version}/publishers/{name}" if is_publishers else path

    def api_of(self, type_: GenerationType, options: Options) -> Api:
        """What a binding is ordered by: what it says, or what the platform has for the type."""
        if options.api is not None:
            return options.api
        if type_ is GenerationType.IMAGE:
            return "generate-content"
        return "interactions" if self.platform == "gemini" else "veo"

    def _own_url(self) -> str:
        if self.platform == "gemini":
            return GEMINI_URL
        if self.location == "global":
            return "https://aiplatform.googleapis.com"
        if self.location in _MULTI_REGIONS:
            return f"https://aiplatform.{self.location}.rep.googleapis.com"
        return f"https://{self.location}-aiplatform.googleapis.com"

    def _check_gemini(self) -> None:
        if self.key is None:
            raise ValueError('platform = "gemini" takes key')
        wrong = [name for name in ("credentials", "metadata_url", "project") if getattr(self, name) is not None]
        if wrong:
            raise ValueError(f'{wrong[0]} is for platform = "vertex"')

    def _check_vertex(self) -> None:
        if self.key is not None:
            raise ValueError('platform = "vertex" takes credentials or metadata_url, and no key')
        if self.project is None:
            raise ValueError('platform = "vertex" takes project')
        if (self.credentials is None) == (self.metadata_url is None):
            raise ValueError('platform = "vertex" takes either credentials or metadata_url')


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding.

    ``api``: what it is ordered by; unless said, ``generate-content`` for pictures and, for clips, ``interactions`` with
    a key and ``veo`` on Vertex. ``modalities``: those of an answer by generate-content. Of Interactions: ``delivery``,
    whether what is made comes in the answer or as an address (unless said, a clip's as an address where a key asks);
    ``duration``, how the seconds are written (``none``: not told, and the model has one duration); ``task``, whether
    what is to be done is said, or left to the model. Of Vertex: ``storage_uri``, a ``gs://`` folder that clips are
    written to; ``reference_type``, what reference images of Veo are. ``body``: what each order carries besides, in the
    API's own shape; what an order says itself wins, and may not be in it.
    """

    api: Api | None = None
    modalities: tuple[Literal["TEXT", "IMAGE"], ...] = ("TEXT", "IMAGE")
    delivery: Literal["inline", "uri"] | None = None
    duration: Literal["8s", "8", "none"] = "8s"
    task: Literal["by-references", "none"] = "by-references"
    storage_uri: Annotated[str, Meta(pattern=r"^gs://[^\s?#]+$", description="gs://bucket/folder")] | None = None
    reference_type: Literal["ASSET", "STYLE"] = "ASSET"
    body: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if taken := sorted(set(leaves(self.body)) & RESERVED):
            raise ValueError(f"body: an order says {', '.join(taken)} by itself")


RESERVED = frozenset(
    {
        "model",
        "contents",
        "input",
        "instances",
        "background",
        "store",
        "stream",
        "previous_interaction_id",
        "continuation_token",
        "agent",
        "response_format",
        "response_modalities",
        "webhook_config",
        "tools",
        "toolConfig",
        "tool_choice",
        "cachedContent",
        "cached_content",
        "responseModalities",
        "candidateCount",
        "sampleCount",
        "seed",
        "aspectRatio",
        "imageSize",
        "aspect_ratio",
        "image_size",
        "image_config",
        "video_config",
        "task",
        "resolution",
        "duration",
        "durationSeconds",
        "delivery",
        "gcs_uri",
        "negativePrompt",
        "storageUri",
        "pubsubTopic",
        "prompt",
        "image",
        "lastFrame",
        "referenceImages",
        "video",
    }
)
"""What an order says itself, or what would make another job of it, at any depth: no option may say it."""

_SWITCHES = frozenset({"generateAudio"})
"""What an order says only where the model has the switch; a binding may, where it has none."""


def leaves(body: Mapping[str, Any], levels: int = 8) -> Iterator[str]:
    """The names in a body, at every depth. ``responseFormat`` of a text's shape and the like are names as well."""
    for name, value in body.items():
        yield name
        if isinstance(value, dict) and levels:
            yield from leaves(value, levels - 1)


def is_said_by_order(name: str) -> bool:
    """Whether a request's own options may not have this name."""
    return name in RESERVED or name in _SWITCHES
