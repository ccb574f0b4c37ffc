"""What the dialect takes: every route, and the shape of an error."""

from __future__ import annotations

from safelight.api.dialect import Dialect, Route
from safelight.api.openai import images, models, videos
from safelight.api.openai.errors import STATUSES, error_body
from safelight.domain.roles import Role

DIALECT = Dialect(
    name="openai",
    prefix="/v1/",
    statuses=STATUSES,
    error_body=error_body,
    routes=(
        Route("POST", "/v1/images/generations", images.generate, role=Role.GENERATE),
        Route("POST", "/v1/images/edits", images.edit, role=Role.GENERATE),
        Route("POST", "/v1/images/variations", images.vary, role=Role.GENERATE),
        Route("POST", "/v1/videos", videos.create_video, role=Role.GENERATE),
        Route("GET", "/v1/videos", videos.list_videos),
        Route("GET", "/v1/videos/{id}", videos.get_video),
        Route("DELETE", "/v1/videos/{id}", videos.delete_video, role=Role.GENERATE),
        Route("GET", "/v1/videos/{id}/content", videos.get_content),
        Route("POST", "/v1/videos/{id}/remix", videos.remix_video, role=Role.GENERATE),
        Route("POST", "/v1/videos/edits", videos.refuse_edit, role=Role.GENERATE),
        Route("POST", "/v1/videos/extensions", videos.refuse_extension, role=Role.GENERATE),
        Route("POST", "/v1/videos/characters", videos.refuse_character, role=Role.GENERATE),
        Route("GET", "/v1/videos/characters/{id}", videos.refuse_character),
        Route("GET", "/v1/models", models.list_models),
        Route("GET", "/v1/models/{name:path}", models.get_model),
    ),
)
