"""The router finds what Starlette's own finds, which asks every route in turn."""

from __future__ import annotations

import itertools

import pytest
from starlette.routing import Match

from safelight.api import health, hints, index
from safelight.api.dialect import Route
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.api.openai.routes import DIALECT as OPENAI
from safelight.api.routing import make_router
from tests.api import planted

ROUTES = [
    *(*health.ROUTES, *hints.ROUTES, *index.ROUTES),
    *(route for dialect in (GETIMG, OPENAI, planted.DIALECT) for route in dialect.routes),
    *(
        Route("GET", path, health.healthz)
        for path in ("/{a}", "/a/{b}/c", "/a/{b}/{c}", "/a/b/{c}", "/a/b/c", "/{a}/b/c", "/a/{b:path}", "/a/b{c}")
    ),
]
PLAIN = [route.path.replace(":path", "").replace("{", "").replace("}", "") for route in ROUTES]
ODD = ["/", "*", "", "/a", "/a/", "/a/b", "/a/b/c/d/e", "/v2", "/v2/", "/v2/videos/generations/", "/" * 50, "/a/\n"]
MIXED = ["/" + "/".join(words) for count in (1, 2, 3, 4) for words in itertools.product("abx", repeat=count)]


@pytest.mark.parametrize("paths", [PLAIN, ODD, MIXED, [f"{path}/x" for path in PLAIN]], ids=["own", "odd", "a b", "x"])
def test_it_finds_what_asking_every_route_finds(paths: list[str]) -> None:
    router = make_router(ROUTES, lambda _: pytest.fail("nothing starts"))
    for path in paths:
        scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
        asked = ((route, *route.matches(scope)) for route in router.routes)
        expected = next(((route, found) for route, match, found in asked if match is Match.FULL), None)
        assert router.found(scope) == expected, path
