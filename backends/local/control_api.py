"""The conductor's control API on loopback: the cloud for the autoscaler, addresses and figures for people.

- ``GET /v1/instances``: ``{"instances": [...]}``, all that are not gone, by number
- ``POST /v1/instances`` ``{"number", "role", "token"}``: launch; the instance
- ``DELETE /v1/instances/ID?reason=...``: end it; 204
- ``GET /v1/fleet``: every address; ``GET /v1/status``: the figures of the last second
- ``GET /v1/targets``: where roles tell their metrics, for Prometheus' service discovery by HTTP

An error is ``{"code", "message"}`` with a 4xx status.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from ...core.ports import CloudError
from ...core.troubles import TroubledCloud
from ..live.addresses import LOOPBACK, url
from .local_cloud import CloudFace
from .targets import Targets

Tell = Callable[[], Mapping[str, Any]]


class ControlApi:
    """Serves *face* behind *cloud*, which refuses what faults refuse; *fleet*, *status* and *targets* tell what else can be asked for."""

    def __init__(
        self, face: CloudFace, cloud: TroubledCloud, fleet: Tell, status: Tell, targets: Targets
    ) -> None:  # fmt: skip
        self.url = ""
        self._face = face
        self._cloud = cloud
        self._fleet = fleet
        self._status = status
        self._targets = targets
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/instances", self._list),
                web.post("/v1/instances", self._launch),
                web.delete("/v1/instances/{id}", self._terminate),
                web.get("/v1/fleet", self._told(self._fleet)),
                web.get("/v1/status", self._told(self._status)),
                web.get("/v1/targets", self._list_targets),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        self.url = url(*self._runner.addresses[0][:2])

    async def end(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        try:
            return web.json_response({"instances": [asdict(one) for one in self._cloud.list()]})
        except CloudError as error:
            return _refused(error.code, error.message)

    async def _launch(self, request: web.Request) -> web.Response:
        try:
            wanted = await request.json()
            number, role, token = int(wanted["number"]), str(wanted["role"]), str(wanted["token"])
        except (ValueError, KeyError, TypeError):
            return _refused(
                "InvalidParameterValue", 'expected {"number": 3, "role": "serving", "token": "..."}'
            )
        try:
            instance = self._cloud.launch(number, role, token)
        except CloudError as error:
            return _refused(error.code, error.message)
        return web.json_response(asdict(instance))

    async def _terminate(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        self._face.reasons[name] = request.query.get("reason", "asked for")
        try:
            self._cloud.take_token()
            if not self._face.stuck(name):
                self._cloud.reclaim(name)
        except CloudError as error:
            return _refused(error.code, error.message)
        return web.Response(status=204)

    async def _list_targets(self, request: web.Request) -> web.Response:
        return web.json_response(self._targets.listed())

    @staticmethod
    def _told(tell: Tell) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            return web.json_response(dict(tell()))

        return answer


def _refused(code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=400)
