"""What the proxy writes: heads as they are passed on, and answers of its own (RFC 9110, section 7.6)."""

from email.utils import formatdate
from http import HTTPStatus

from ...core.http.heads import RequestHead, ResponseHead
from ...core.outcomes import NAMES
from ..live.headers import CAUSE, TIMES

NAME = b"windtunnel"
RETRY_AFTER = 1
"""Seconds after which a client may try again what was answered 503."""

_VIA = (b"Via: 1.0 " + NAME, b"Via: 1.1 " + NAME)
_END = tuple(via + b"\r\n\r\n" for via in _VIA)
_CHUNKED = b"Transfer-Encoding: chunked"


def request_bytes(head: RequestHead, client: bytes) -> bytes:
    """The head of a request as it goes to an app server. *client* is the address that it came from."""
    if head.written and head.written_for == client:
        return head.written
    head.written = _request_bytes(head, client, head.trace)
    head.written_for = client
    return head.written


def bare_request_bytes(head: RequestHead, client: bytes) -> bytes:
    """The same without the lines of Trace Context that it came with."""
    if head.bare and head.bare_for == client:
        return head.bare
    head.bare = _request_bytes(head, client, [])
    head.bare_for = client
    return head.bare


def _request_bytes(head: RequestHead, client: bytes, trace: list[bytes]) -> bytes:
    lines = [head.start, b"Host: " + head.host, *head.plain, *trace]
    if head.length >= 0:
        lines.append(b"Content-Length: %d" % head.length)
    elif head.chunked:
        lines.append(_CHUNKED)
    if head.expect:
        lines.append(b"Expect: 100-continue")
    if head.max_forwards > 0:
        lines.append(b"Max-Forwards: %d" % (head.max_forwards - 1))
    options = b""
    if head.trailers:
        lines.append(b"TE: trailers")
        options = b"TE"
    if head.upgrade:
        lines.append(b"Upgrade: " + head.upgrade)
        options = options + b", upgrade" if options else b"upgrade"
    if options:
        lines.append(b"Connection: " + options)
    lines.append(
        b"X-Forwarded-For: %b%b\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: %b\r\n%b\r\n\r\n"
        % (head.forwarded_for, client, head.host, _VIA[head.minor])
    )
    return b"\r\n".join(lines)


def answer_bytes(head: ResponseHead, chunked: bool, connection: bytes, times: bytes) -> bytes:
    """The head of an answer as it goes to the client.

    *chunked*: its content is; *connection*: the option that tells the client what becomes of the connection, or none; *times*: the
    value of ``windtunnel-times`` for a planned request, or none.
    """
    if connection or chunked is not head.chunked:
        return _answer_bytes(head, chunked, connection, times)
    written = head.written = head.written or _answer_bytes(head, chunked, b"", b"")
    if not times:
        return written
    end = _END[head.minor]
    return b"%bwindtunnel-times: %b\r\n%b" % (written[: -len(end)], times, end)


def _answer_bytes(head: ResponseHead, chunked: bool, connection: bytes, times: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (head.status, head.reason), *head.plain]
    if chunked:
        lines.append(_CHUNKED)
    elif head.length >= 0:
        lines.append(b"Content-Length: %d" % head.length)
    if head.cause:
        lines.append(b"windtunnel-cause: " + head.cause)
    if times:
        lines.append(b"windtunnel-times: " + times)
    if head.upgrade:
        lines.append(b"Upgrade: " + head.upgrade)
    if connection:
        lines.append(b"Connection: " + connection)
    lines.append(_VIA[head.minor])
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def own_answer(
    status: int, outcome: int, reason: str, without_content: bool, connection: str = "", times: str = ""
) -> bytes:
    """An answer that the proxy gives itself. *outcome*: core.outcomes, 0 for none; *reason*: a sentence for people."""
    content = reason.encode() + b"\n"
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(content)}",
    ]
    if outcome:
        lines.append(f"{CAUSE}: {NAMES[outcome]}")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(f"Retry-After: {RETRY_AFTER}")
    if times:
        lines.append(f"{TIMES}: {times}")
    if connection:
        lines.append(f"Connection: {connection}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if without_content else content)
