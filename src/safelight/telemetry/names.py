"""The names that spans and their attributes have, as others know them.

Sources, each read in November 2026:

* OpenTelemetry semantic conventions 1.44, "HTTP spans" (stable): ``http.*``, ``url.*``, ``server.*``, ``error.type``,
  ``network.protocol.version``; "Service" of the resource conventions: ``service.*``.
* OpenTelemetry semantic conventions for generative AI (open-telemetry/semantic-conventions-genai, in development, so
  that no package of constants is stable): ``gen_ai.*``. It knows no operation that makes media: ``generate_content`` is
  the listed one that fits. ``gen_ai.output.type`` lists ``image`` and no video: ``video`` is our own value.
* ``safelight.*`` are ours.
"""

from __future__ import annotations

from typing import Final

HTTP_METHOD: Final = "http.request.method"
HTTP_METHOD_ORIGINAL: Final = "http.request.method_original"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_ROUTE: Final = "http.route"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
PROTOCOL_VERSION: Final = "network.protocol.version"
ERROR_TYPE: Final = "error.type"
OTHER: Final = "_OTHER"
"""What a method is told as that the convention does not list, and an error of no kind of its own."""

METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})

OPERATION: Final = "gen_ai.operation.name"
GENERATE_CONTENT: Final = "generate_content"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_SEED: Final = "gen_ai.request.seed"
OUTPUT_TYPE: Final = "gen_ai.output.type"
RESPONSE_ID: Final = "gen_ai.response.id"
INPUT_MESSAGES: Final = "gen_ai.input.messages"

PROVIDER_OF_KIND: Final = {
    "ark": "byteplus.ark",
    "builtin": "safelight.builtin",
    "google": "gcp.gen_ai",
}
"""What a kind of backend is called where the convention has another word for it, or ours says too little alone."""

GENERATION_ID: Final = "safelight.generation.id"
WORKSPACE_ID: Final = "safelight.workspace.id"
COST_NANOS: Final = "safelight.cost_nanos"
"""What the workspace is charged, in nano-dollars."""
TYPE: Final = "safelight.generation.type"
MODEL: Final = "safelight.model"
"""As it is called here. A backend's own name for it is ``gen_ai.request.model``."""
CONNECTION: Final = "safelight.connection"
OUTCOME: Final = "safelight.outcome"
EVENT_ID: Final = "safelight.event.id"
EVENT_TYPE: Final = "safelight.event.type"
ATTEMPT: Final = "safelight.attempt"
REQUEST_ID: Final = "safelight.request.id"
