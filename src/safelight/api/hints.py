"""Where a backend tells that something happened to a job: at an address that was signed for it alone.

Behind a good signature the answer is always the same, and before one it is another: nothing is learnt from either. What
is sent is handed to the connection's adapter, which says whether it is news; then the job is asked about sooner.
"""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.auth import api_state
from safelight.api.dialect import Route
from safelight.domain.errors import InvalidSignature, RequestTimeout, RequestTooLarge
from safelight.domain.ports import Callback
from safelight.lifecycle.hints import take_hint

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Backends repeat the order in it, with pictures that went along as base64."""
_BODY_SECONDS = 15.0


async def hint(request: Request) -> Response:
    """Take what a backend tells of a job."""
    state = api_state(request)
    connection, job_id = request.path_params["connection"], request.path_params["job_id"]
    try:
        state.keeping.signer.check_hint(connection, job_id, request.scope["query_string"], time.time())
    except InvalidSignature:
        raise InvalidSignature("This address is not one of ours.") from None
    headers = {name: ", ".join(request.headers.getlist(name)) for name in request.headers}
    await take_hint(state.running, connection, Callback(job_id=job_id, headers=headers, body=await _received(request)))
    return Response(status_code=204)


async def _received(request: Request) -> bytes:
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                raw += piece
                if len(raw) > MAX_BODY_BYTES:
                    raise RequestTooLarge(f"The body is over {MAX_BODY_BYTES} bytes. Send less.")
    except TimeoutError:
        raise RequestTimeout from None
    return bytes(raw)


ROUTES = (Route("POST", "/v2/hints/{connection}/{job_id}", hint, needs_key=False),)
