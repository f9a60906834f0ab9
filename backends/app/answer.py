"""Answers without what makes aiohttp's own slow: head and body are written at once, as one piece, with no headers but those needed."""

from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})


class Answer(web.StreamResponse):
    """Status, *more* header lines (each ended by CRLF) and body. It does what RequestHandler asks of a response, and nothing else of StreamResponse."""

    def __init__(self, status: int, body: bytes = b"", more: str = "") -> None:
        # StreamResponse's constructor makes the headers and cookies that this class is there to avoid.
        self._answer = (status, body, more)
        self._request: web.BaseRequest

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open: as the client wants it."""
        return self._request.keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything. Raises ConnectionResetError if the client is gone."""
        self._request = request
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        status, body, more = self._answer
        # RFC 9110, 8.6: neither 204 nor, without a body, 304 has a length; HEAD has that of the GET.
        length = "" if status in _BODILESS else f"Content-Length: {len(body)}\r\n"
        connection = "" if request.version >= (1, 1) else "Connection: keep-alive\r\n"
        if not request.keep_alive:
            connection = "Connection: close\r\n"
        head = f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nDate: {rfc822_formatted_time()}\r\n{length}{more}{connection}\r\n".encode(
            "latin-1"
        )
        if not body or request.method == "HEAD" or status in _BODILESS:
            transport.write(head)
        elif len(body) < 65_536:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait until the connection takes more."""
        await self._request.writer.drain()

    def __repr__(self) -> str:
        return f"<Answer {self._answer[0]}>"

    def __eq__(self, other: Any) -> bool:
        return self is other

    __hash__ = object.__hash__
