"""The dashboard over HTTP: a page, what happens as server-sent events, and faults for whoever has the flight's token.

- ``GET /``: the page; ``GET /dashboard.js``, ``GET /dashboard.css``: what it needs besides
- ``GET /document``: ``{"document", "frames", "after", "state", ...}``: what a page begins with, and the id of the event after which it goes on
- ``GET /events?after=ID``: server-sent events (``frame``, ``state``, ``document``: begin anew); a browser that comes back says the last id itself
- ``GET /faults``, ``POST /faults``, ``POST /faults/stop``: handed to the flight (backends.local.live_api), with the token that the page sends

Only requests addressed to this machine by a name that nobody else's DNS can give it are answered; pages of other sites may read nothing and change nothing.
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from ..live.addresses import url
from ..live.hosts import host_of, is_address, is_loopback_name
from ..live.whereabouts import TOKEN_FIELD, Whereabouts
from .following import ENDED, LIVE
from .news import Item, News
from .showing import Document, Show

BEAT_SECONDS = 10.0
MOST_PAGES = 64
"""Pages that may be open at a time."""

MARGIN_SECONDS = 4
"""A flight's files have everything that is older than this; the frames have what is younger."""

_WRITE_SECONDS = 30.0
"""A page that has not taken anything for so long is gone."""

_MOST_BYTES = 64 * 1024
_FILES = {"dashboard.js": "text/javascript", "dashboard.css": "text/css"}
_SCRIPT = re.compile(r"<script(?![^>]*\b(?:src|type)=)[^>]*>(.*?)</script>", re.DOTALL)
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Followed(Protocol):
    """What is shown. *state*: following's; *whereabouts*: of the flight, if there is one to ask for faults; *grown* changes whenever the run's files do."""

    @property
    def state(self) -> str:
        """See above."""

    @property
    def whereabouts(self) -> Whereabouts | None:
        """See above."""

    @property
    def grown(self) -> Any:
        """See above."""

    def told(self) -> dict[str, Any]:
        """What pages are told of the state."""

    async def run(self) -> None:
        """Follow it to its end, and tell."""


class DashboardServer:
    """Serves the run that *following* follows, as *show* shows it. *host*: where it listens."""

    def __init__(self, following: Followed, show: Show, news: News, host: str) -> None:
        self.url = ""
        self._following = following
        self._show = show
        self._news = news
        self._host = host
        self._building = asyncio.Lock()
        self._document: tuple[object, Document] | None = None
        self._page: tuple[object, str] | None = None
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, port: int) -> None:
        """Listen. Raises OSError."""
        app = web.Application(client_max_size=_MOST_BYTES, middlewares=[self._guarded])
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.get("/document", self._get_document),
                web.get("/events", self._events),
                web.get("/faults", self._faults),
                web.post("/faults", self._faults),
                web.post("/faults/stop", self._faults),
                *(web.get(f"/{name}", self._file) for name in _FILES),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, port).start()
        self.url = url(*self._runner.addresses[0][:2])
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))

    async def end(self) -> None:
        """Stop listening."""
        self._news.end()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Against names that lead here from elsewhere, and against requests of other sites."""
        named = host_of(request.headers.get("Host", ""))
        if not self._is_ours(named):
            raise _refused(
                web.HTTPForbidden, f"expected a Host field that names this machine, got {named[:80]!r}"
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("//")[2] != request.headers.get("Host"):
            raise _refused(
                web.HTTPForbidden, "expected a request of the dashboard's own page, got one of another site"
            )
        if request.method == "POST" and request.content_type != "application/json":
            raise _refused(
                web.HTTPUnsupportedMediaType,
                f"expected Content-Type: application/json, got {request.content_type}",
            )
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(_SAFE)
            raise
        if not response.prepared:
            response.headers.update({**_SAFE, **response.headers})
        return response

    def _is_ours(self, named: str) -> bool:
        if is_loopback_name(self._host):
            return is_loopback_name(named)
        return is_loopback_name(named) or is_address(named) or named == self._host.lower()

    # The page and what it begins with.

    async def _get_page(self, request: web.Request) -> web.Response:
        live = self._following.state != ENDED
        # As long as frames follow it, the page itself does not change.
        async with self._building:
            if self._page is None or self._page[0] != live:
                self._page = (live, _with_own(await asyncio.to_thread(self._show.page, live), live))
            text = self._page[1]
        return web.Response(
            text=text, content_type="text/html", headers={"Content-Security-Policy": _policy(text)}
        )

    async def _get_document(self, request: web.Request) -> web.Response:
        document = await self._begin()
        told = json.dumps({**self._following.told(), "after": self._news.last, "seconds": document.seconds})
        frames = ",".join(self._news.frames_from(document.seconds)) if self._following.state != ENDED else ""
        text = f'{told[:-1]}, "document": {document.text}, "frames": [{frames}]}}'
        return web.Response(text=text, content_type="application/json")

    async def _begin(self) -> Document:
        """The document, made anew if what came since is not in the ring any more, or if the files of a run have grown that tells nothing else."""
        async with self._building:
            state = self._following.state
            mark: object = state if state in (LIVE, ENDED) else (state, self._following.grown)
            kept = self._document
            if kept is None or kept[0] != mark or (state == LIVE and not self._news.reaches(kept[1].seconds)):
                margin = MARGIN_SECONDS if state == LIVE else 0
                document = await asyncio.to_thread(self._show.document, state != ENDED, margin)
                self._document = kept = (mark, document)
            return kept[1]

    async def _file(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        text = (Path(__file__).parent / "web" / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=_FILES[name])

    # What happens.

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._news.listeners >= MOST_PAGES:
            raise _refused(web.HTTPServiceUnavailable, f"expected at most {MOST_PAGES} open pages")
        response = web.StreamResponse(
            headers={**_SAFE, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        after = request.headers.get("Last-Event-ID") or request.query.get("after", "")
        listener = self._news.listen(after)
        try:
            await response.prepare(request)
            await self._write(
                response, b"retry: 1000\n\n" + _event("state", json.dumps(self._following.told()))
            )
            while True:
                try:
                    item = await asyncio.wait_for(listener.next(), BEAT_SECONDS)
                except TimeoutError:
                    await self._write(response, b": beat\n\n")
                    continue
                if item is None:
                    return response
                await self._write(response, self._line(item))
        except (ConnectionError, TimeoutError):
            return response  # The page was closed, or does not read.
        finally:
            self._news.leave(listener)

    def _line(self, item: Item) -> bytes:
        return f"id: {self._news.id(item.number)}\n".encode() + _event(item.kind, item.data)

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(_WRITE_SECONDS):
            await response.write(data)

    # Faults.

    async def _faults(self, request: web.Request) -> web.Response:
        whereabouts = self._following.whereabouts
        if whereabouts is None or self._session is None:
            if request.method == "GET":
                return web.json_response({"allowed": False, "in_force": [], "types": {}})
            raise _refused(
                web.HTTPConflict, "expected a flight that flies: this run does not, or not any more"
            )
        headers = {"Content-Type": "application/json", TOKEN_FIELD: request.headers.get(TOKEN_FIELD, "")}
        body = await request.read() if request.method == "POST" else None
        try:
            async with self._session.request(
                request.method, f"{whereabouts.url}/v1{request.path}", data=body, headers=headers
            ) as answer:
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type=answer.content_type
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _refused(
                web.HTTPBadGateway, f"expected an answer of the flight, got none: {error}"
            ) from None


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _with_own(page: str, live: bool) -> str:
    """The page with the dashboard's own style and script, which it tells whether frames will follow."""
    head = f'<meta name="windtunnel-dashboard" content="{LIVE if live else ENDED}">\n<link rel="stylesheet" href="/dashboard.css">\n'
    before, body, after = page.rpartition("</body>")
    return (
        before.replace("</head>", head + "</head>", 1)
        + '<script src="/dashboard.js" defer></script>\n'
        + body
        + after
    )


def _policy(page: str) -> str:
    """Nothing may run but the scripts that stand on this page, and nothing be asked of anybody else."""
    hashes = (b64encode(sha256(text.encode()).digest()).decode() for text in _SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{one}'" for one in dict.fromkeys(hashes))
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src data:; font-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _refused(kind: type[web.HTTPException], message: str) -> web.HTTPException:
    return kind(text=json.dumps({"message": message}), content_type="application/json")


async def serve(server: DashboardServer, following: Followed, port: int, told: Callable[[str], None]) -> None:
    """Serve until cancelled; *told* gets the URL. Raises OSError if it cannot listen."""
    await server.start(port)
    told(server.url)
    task = asyncio.create_task(following.run())
    try:
        await task
        await asyncio.Event().wait()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await server.end()
