"""The build server's HTTP: the webhook, a JSON API, and pages.

- ``POST /webhook``: a push, signed as GitHub signs; ``{"message", "build"}``
- ``GET /api/builds?limit=N``, ``GET /api/builds/N``; ``POST /api/builds`` ``{"branch", "commit"?}``; ``POST /api/builds/N/cancel``
- ``GET /api/builds/N/log?stage=NAME&offset=BYTES``: plain text; the field ``X-Next-Offset`` says where to go on, ``X-Open`` whether more may come
- ``GET /``, ``GET /builds/N``, ``GET /builds/N/artifacts/PATH``

An error is ``{"message"}`` with its status.
"""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from ....core.ports import RegistryError
from .access import Access
from .build_pages import TAIL, build_page, builds_page
from .build_run import ARTIFACTS, LOGS
from .build_server import Answer, BuildServer
from .builds import Build, StageRun
from .webhook import MOST_BYTES, Refused, read_push

_CHUNK = 2**20
_LISTED = 100
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PAGE = {**_SAFE, "Content-Security-Policy": _SAFE["Content-Security-Policy"].removesuffix("; sandbox")}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BuildWeb:
    """Serves *server*. Without a *webhook_secret* no webhook is taken."""

    def __init__(self, server: BuildServer, access: Access, webhook_secret: str) -> None:
        self._server = server
        self._access = access
        self._secret = webhook_secret
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; the URL."""
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[self._guarded])
        number = r"{number:\d{1,12}}"
        app.add_routes(
            [
                web.post("/webhook", self._webhook),
                web.get("/api/builds", self._list),
                web.post("/api/builds", self._trigger),
                web.get(f"/api/builds/{number}", self._one),
                web.get(f"/api/builds/{number}/log", self._log),
                web.post(f"/api/builds/{number}/cancel", self._cancel),
                web.get("/", self._builds),
                web.get(f"/builds/{number}", self._build),
                web.get(f"/builds/{number}/artifacts/{{path:.+}}", self._artifact),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        at = self._runner.addresses[0]
        return f"http://[{at[0]}]:{at[1]}" if ":" in at[0] else f"http://{at[0]}:{at[1]}"

    async def end(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who may ask, and errors as JSON."""
        try:
            if request.path != "/webhook":
                self._access.check(request.headers, request.method != "GET")
            return await handler(request)
        except Refused as error:
            more = {"WWW-Authenticate": 'Basic realm="builds"'} if error.status == 401 else {}
            return web.json_response(
                {"message": error.message}, status=error.status, headers={**_SAFE, **more}
            )
        except RegistryError as error:
            return web.json_response({"message": f"Redis is away: {error}"}, status=503, headers=_SAFE)

    async def _webhook(self, request: web.Request) -> web.Response:
        if not self._secret:
            raise Refused(
                404, "expected no webhook: the build server was started without --webhook-secret-file"
            )
        push = read_push(request.headers, await request.read(), self._secret)
        if push is None:
            return web.json_response({"message": "nothing to build", "build": None}, headers=_SAFE)
        return _answered(await self._server.push(push.branch, push.commit, "push", push.delivery))

    async def _trigger(self, request: web.Request) -> web.Response:
        try:
            wanted = await request.json()
            branch, commit = wanted["branch"], wanted.get("commit", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            branch, commit = None, None
        if not isinstance(branch, str) or not isinstance(commit, str):
            raise Refused(400, 'expected {"branch": NAME} and perhaps "commit"')
        return _answered(await self._server.push(branch, commit, "trigger"))

    async def _cancel(self, request: web.Request) -> web.Response:
        build = await self._server.cancel(int(request.match_info["number"]))
        return web.json_response(build.model_dump(), status=202, headers=_SAFE)

    async def _list(self, request: web.Request) -> web.Response:
        limit = _whole(request.query.get("limit", str(_LISTED)), "limit", 1)
        builds = await self._server.latest(min(limit, 1000))
        return web.json_response({"builds": [one.model_dump() for one in builds]}, headers=_SAFE)

    async def _asked(self, request: web.Request) -> Build:
        return await self._server.get(int(request.match_info["number"]))

    async def _one(self, request: web.Request) -> web.Response:
        return web.json_response((await self._asked(request)).model_dump(), headers=_SAFE)

    async def _log(self, request: web.Request) -> web.Response:
        build = await self._asked(request)
        name = request.query.get("stage", "")
        run = next((one for one in build.stages if one.stage == name), None)
        if run is None:
            known = ", ".join(one.stage for one in build.stages) or "none"
            raise Refused(404, f"build {build.number} has no stage {name!r}; it has {known}")
        offset = _whole(request.query.get("offset", "0"), "offset", 0)
        data = _part(self._path(build, run), offset, _CHUNK)
        more = {
            "X-Next-Offset": str(offset + len(data)),
            "X-Open": str(run.state in ("waiting", "running") and build.open).lower(),
        }
        return web.Response(body=data, content_type="text/plain", charset="utf-8", headers={**_SAFE, **more})

    def _path(self, build: Build, run: StageRun) -> Path:
        return self._server.folder / str(build.number) / LOGS / run.log

    async def _builds(self, request: web.Request) -> web.Response:
        text = builds_page(await self._server.latest(_LISTED))
        return web.Response(text=text, content_type="text/html", headers=_PAGE)

    async def _build(self, request: web.Request) -> web.Response:
        build = await self._asked(request)
        logs = []
        for run in build.stages:
            path = self._path(build, run)
            if path.is_file():
                skipped = max(0, path.stat().st_size - TAIL)
                text = _part(path, skipped, TAIL).decode(errors="replace")
                logs.append(
                    (run, f"[the first {skipped:,} bytes are in the API only]\n{text}" if skipped else text)
                )
        return web.Response(text=build_page(build, logs), content_type="text/html", headers=_PAGE)

    async def _artifact(self, request: web.Request) -> web.StreamResponse:
        build = await self._asked(request)
        name = request.match_info["path"]
        if name not in build.artifacts:
            raise Refused(404, f"build {build.number} has no such artefact")
        # In a sandbox of its own: a report is a page that a build has written.
        return web.FileResponse(self._server.folder / str(build.number) / ARTIFACTS / name, headers=_ARTIFACT)


_ARTIFACT = {
    **_SAFE,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}


def _answered(answer: Answer) -> web.Response:
    build = None if answer.build is None else answer.build.model_dump()
    return web.json_response(
        {"message": answer.message, "build": build}, status=202 if build else 200, headers=_SAFE
    )


def _whole(text: str, what: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < least:
        raise Refused(400, f"expected {what} to be a whole number of at least {least}, got {text[:40]!r}")
    return int(text)


def _part(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return b""
