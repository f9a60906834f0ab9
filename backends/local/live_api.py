"""What a flight offers to whoever follows it, on loopback: the stream of what happens, and faults by hand.

- ``GET /v1/stream``: messages of live.telling, beginning some seconds ago
- ``GET /v1/faults``: ``{"allowed", "in_force", "types"}``
- ``POST /v1/faults``: a fault in the scenario's words, without a time: it strikes now; ``{"name", "targets", ...}``
- ``POST /v1/faults/stop`` ``{"name"}``: the fault is over now

What changes something needs the flight's token in the field ``windtunnel-token`` and a body of JSON, which a page of another site can send neither of. An error is ``{"message"}`` with a 4xx status.
"""

import hmac
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ...core.errors import UsageError
from ..live.addresses import LOOPBACK, url
from ..live.hosts import host_of, is_loopback_name
from ..live.whereabouts import TOKEN_FIELD
from .broadcast import Broadcast
from .faults.by_hand import FaultsByHand

_MOST_BYTES = 64 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_token() -> str:
    """A token that nobody can guess."""
    return os.urandom(16).hex()


class LiveApi:
    """Serves *broadcast*, and *faults* to whoever knows the *token*; without one to nobody."""

    def __init__(self, broadcast: Broadcast, faults: FaultsByHand, token: str) -> None:
        self.url = ""
        self._broadcast = broadcast
        self._faults = faults
        self._token = token
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=_MOST_BYTES, middlewares=[_addressed])
        app.add_routes(
            [
                web.get("/v1/stream", self._stream),
                web.get("/v1/faults", self._list),
                web.post("/v1/faults", self._start),
                web.post("/v1/faults/stop", self._stop),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self.url = url(*self._runner.addresses[0][:2])

    async def end(self) -> None:
        """Tell listeners so, and stop listening."""
        self._broadcast.end()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        listener = self._broadcast.listen()
        try:
            while (message := await listener.next()) is not None:
                await response.write(message)
        except ConnectionError:
            pass  # It is gone.
        finally:
            self._broadcast.leave(listener)
        return response

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "allowed": bool(self._token),
                "in_force": self._faults.in_force(),
                "types": self._faults.types() if self._token else {},
            }
        )

    async def _start(self, request: web.Request) -> web.Response:
        wanted = await self._asked(request)
        try:
            return web.json_response(await self._faults.start(wanted), status=201)
        except UsageError as error:
            raise _refused(web.HTTPBadRequest, str(error)) from None

    async def _stop(self, request: web.Request) -> web.Response:
        wanted = await self._asked(request)
        if not isinstance(wanted, Mapping) or not isinstance(wanted.get("name"), str):
            raise _refused(web.HTTPBadRequest, 'expected {"name": NAME} of a fault that is in force')
        try:
            self._faults.stop(wanted["name"])
        except UsageError as error:
            raise _refused(web.HTTPBadRequest, str(error)) from None
        return web.json_response({"name": wanted["name"]})

    async def _asked(self, request: web.Request) -> Any:
        """The body of who may ask."""
        if not self._token:
            raise _refused(
                web.HTTPForbidden, "expected a flight that was started with --allow-faults, got one without"
            )
        given = request.headers.get(TOKEN_FIELD, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            raise _refused(
                web.HTTPUnauthorized,
                f"expected the flight's token in the field {TOKEN_FIELD}, got {'another one' if given else 'none'}",
            )
        if request.content_type != "application/json":
            raise _refused(
                web.HTTPUnsupportedMediaType,
                f"expected Content-Type: application/json, got {request.content_type}",
            )
        try:
            return await request.json()
        except ValueError:
            raise _refused(web.HTTPBadRequest, "expected a body of JSON, got something else") from None


@web.middleware
async def _addressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Only what is addressed to this machine by name is answered: a page may have led its own name here."""
    if not is_loopback_name(host_of(request.headers.get("Host", ""))):
        raise _refused(web.HTTPForbidden, "expected a Host field that names this machine's loopback")
    return await handler(request)


def _refused(kind: type[web.HTTPException], message: str) -> web.HTTPException:
    return kind(text=json.dumps({"message": message}), content_type="application/json")
