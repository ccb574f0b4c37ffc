"""Which options a request may pass on: those that each binding of its model takes."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request, resolve
from tests.domain.catalogs import IMAGE, model_of


def image(**values: Any) -> Request:
    return Request(type=GenerationType.IMAGE, model="m", prompt="a hill", **values)


def test_what_one_binding_alone_takes_is_not_passed_on() -> None:
    """Whichever of them makes it, the request means the same."""
    names = (["steps", "style"], ["style", "cfg"])
    model = model_of({**IMAGE, "bindings": [{"connection": "noop", "provider_options": each} for each in names]})
    assert model.provider_options == ("style",)
    assert resolve(image(provider_options={"style": "x"}), model).provider_options == {"style": "x"}
    for name in ("steps", "cfg"):
        with pytest.raises(InvalidParameter, match="It passes: style"):
            resolve(image(provider_options={name: 1}), model)


def test_a_model_that_says_nothing_takes_none_of_it() -> None:
    model = model_of(IMAGE)
    spec = resolve(image(provider_options={}, negative_prompt=" "), model)
    assert (spec.seed, spec.negative_prompt, spec.provider_options) == (None, None, {})
