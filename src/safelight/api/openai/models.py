"""The catalog, as clients of OpenAI's API list it: each model by its id, and by each name that it has besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state
from safelight.domain.catalog import Catalog, Model
from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.text import quoted

OWNER = "safelight"


class ModelObject(msgspec.Struct, frozen=True, kw_only=True):
    """A name of a model. ``created`` is a Unix second; ``type`` and ``alias_of`` are ours."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = OWNER
    type: GenerationType
    alias_of: str | msgspec.UnsetType = msgspec.UNSET


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ModelObject]


async def list_models(request: Request) -> Response:
    """Every name of every model."""
    catalog = api_state(request).submitting.catalog
    return json_response(ModelList(data=[each for model in catalog.models.values() for each in _objects(model)]))


async def get_model(request: Request) -> Response:
    """The model with a name, in which a slash may be written as one or as ``%2F``."""
    name = request.path_params["name"].replace("%2F", "/")
    model = api_state(request).submitting.catalog.by_any_name(name)
    if model is None:
        raise NotFound(f"There is no model {quoted(name)}. GET /v1/models lists them.", param="model")
    return json_response(next(each for each in _objects(model) if each.id == name))


def model_for(
    catalog: Catalog, name: str | None, wanted: GenerationType, *, role: ReferenceRole | None = None
) -> Model:
    """The model with this id or alias; where no name is given, the first of its type that takes an image of ``role``.

    Raises ``InvalidParameter`` where there is none, or it makes something else.
    """
    models = [model for model in catalog.models.values() if model.type is wanted]
    first = next((model for model in models if role is None or model.references.get(role)), None)
    found = first if name is None else catalog.by_any_name(name)
    if found is not None and found.type is wanted:
        return found
    known = ", ".join(model.id for model in models) or "none"
    said = "No model is given" if name is None else f"{quoted(name)} is not one of the {wanted} models"
    raise InvalidParameter(f"{said}. Available: {known}; GET /v1/models lists all names.", param="model")


def _objects(model: Model) -> Iterator[ModelObject]:
    created, type_ = int(model.created_at.timestamp()), model.type
    yield ModelObject(id=model.id, created=created, type=type_)
    for alias in model.aliases:
        yield ModelObject(id=alias, created=created, type=type_, alias_of=model.id)
