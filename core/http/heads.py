"""Message heads of HTTP/1.x, read strictly and without input or output (RFC 9110, RFC 9112).

Theory of operation
-------------------
A head is split at CRLF and each line is looked up in a cache of lines that were found well-formed before: most lines of a request are
those of the request before it. A line that is not there is validated as a whole (so that no bare CR, LF or NUL passes), normalised to ``Name: value``
and classified by what an intermediary has to do with it. What cannot be forwarded without two readers possibly disagreeing on it is
:class:`Malformed`. Whole heads are remembered too, unless they name a planned request: a head that was seen before is not
read again. The caches are bounded; a peer that fills them with lines of its own costs no more than one that uses none.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from . import statuses
from .fields import (
    CACHED_LENGTH,
    CACHED_LINES,
    HEAD_LIMIT,
    LINES_LIMIT,
    Field,
    Kind,
    Malformed,
    is_token,
    known_fields,
    options_of,
    read_field,
)

START_LIMIT = 8_192
"""Bytes of a request line; beyond it 414."""
LENGTH_DIGITS = 15

_request_line = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])"
).fullmatch
_status_line = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?").fullmatch
_host = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~\-]|%[0-9A-Fa-f]{2}){1,255})(?::[0-9]{0,5})?"
).fullmatch
_absolute = re.compile(rb"(?i:https?)://([^/?#]*)([/?].*)?").fullmatch
_NUMBERS = b"0123456789x-"
_NUMBERS_LENGTH = 120
_digits = re.compile(rb"[0-9]{1,%d}" % LENGTH_DIGITS).fullmatch
_empty_lines = re.compile(rb"(?:\r\n)+").match
_NOT_NOMINATED = {b"host", b"content-length"}
_TRACE = int(Kind.TRACE)
_bare_line_end = re.compile(rb"\r(?!\n)(?!\Z)|(?<!\r)\n").search


class Start(NamedTuple):
    """A request line: *line* as it goes upstream (origin form, 1.1), *authority* of an absolute target or empty."""

    method: bytes
    target: bytes
    authority: bytes
    minor: int
    line: bytes


class RequestHead:
    """A request's head, shared by all requests that send the same. *plain* are the lines that are passed on as they are; *length* -1: no content unless *chunked*; *trace* are its lines of
    W3C Trace Context, passed on unless there are others in their place; *written* is the head as it was passed on last, for the client *written_for*, *bare* the same without *trace*;
    *simple*: 1.1, no HEAD, no content, and the connection stays."""

    __slots__ = ("bare", "bare_for", "chunked", "closing", "expect", "forwarded_for", "host", "keep_alive", "length", "max_forwards",
                 "method", "minor", "plain", "planned", "simple", "start", "target", "trace", "trailers", "upgrade",
                 "upgrading", "written", "written_for")  # fmt: skip

    def __init__(self, start: Start) -> None:
        self.method = start.method
        self.target = start.target
        self.minor = start.minor
        self.start = start.line
        self.plain: list[bytes] = []
        self.trace: list[bytes] = []
        self.host = b""
        self.length = -1
        self.chunked = False
        self.keep_alive = start.minor == 1
        self.closing = self.expect = False
        self.upgrade = b""
        self.upgrading = False
        self.planned = b""
        self.forwarded_for = b""
        self.max_forwards = -1
        self.trailers = self.simple = False
        self.written = self.written_for = self.bare = self.bare_for = b""


class ResponseHead:
    """An answer's head, shared likewise; *app* and *cause* are the values of the app server's ``windtunnel-`` headers; *written* is the head as it
    was passed on last with nothing added; *simple*: it has content of a known length, unless it answers HEAD."""

    __slots__ = ("app", "cause", "chunked", "closing", "keep_alive", "length", "minor", "plain", "reason", "simple",
                 "status", "upgrade", "upgrading", "written")  # fmt: skip

    def __init__(self, minor: int, status: int, reason: bytes) -> None:
        self.minor = minor
        self.status = status
        self.reason = reason
        self.plain: list[bytes] = []
        self.length = -1
        self.chunked = False
        self.keep_alive = minor == 1
        self.closing = False
        self.upgrade = b""
        self.upgrading = False
        self.app = self.cause = b""
        self.simple = False
        self.written = b""


Head = TypeVar("Head", RequestHead, ResponseHead)

_starts: dict[bytes, Start] = {}
_requests: dict[bytes, RequestHead] = {}
_responses: dict[bytes, ResponseHead] = {}
CACHED_HEADS = 512
CACHED_HEAD_LENGTH = 2_048
"""So many heads are remembered in each cache, none longer than this."""

known_response = _responses.get
"""The head of an answer in a block without its blank line, if it was read before, else None."""


def remember(cache: dict[bytes, Head], block: bytes, head: Head) -> None:
    """Keep *head*, read from *block*, in *cache*."""
    if len(block) <= CACHED_HEAD_LENGTH:
        if len(cache) >= CACHED_HEADS:
            cache.clear()
        cache[block] = head


def after_empty_lines(data: bytes) -> bytes:
    """*data* without the empty lines that it begins with, which are ignored before a request (RFC 9112, section 2.2)."""
    match = _empty_lines(data)
    return data[match.end() :] if match else data


def find_end(data: bytes | bytearray, searched: int = 0) -> int:
    """Where the head in *data* ends (the index of its blank line), or -1 while it is incomplete.

    *searched* bytes were looked at before. Raises Malformed (400) at a line that does not end with CRLF, 414 or 431 if it has become too long.
    """
    end = data.find(b"\r\n\r\n", max(0, searched - 3))
    if end >= 0:
        if end > HEAD_LIMIT:
            raise Malformed("the head is too long", statuses.FIELDS_TOO_LARGE)
        return end
    if _bare_line_end(data, max(0, searched - 1)):
        raise Malformed("a line does not end with CRLF")
    if len(data) > START_LIMIT and data.find(b"\n", 0, START_LIMIT + 2) < 0:
        raise Malformed("the request line is too long", statuses.URI_TOO_LONG)
    if len(data) > HEAD_LIMIT:
        raise Malformed("the head is too long", statuses.FIELDS_TOO_LARGE)
    return -1


def take_line(block: bytes, begin: bytes) -> tuple[bytes, bytes]:
    """The value of the line in a head that begins with *begin* (CRLF, name, colon, blank) if it is made of digits, dashes and x; and the head without
    that line. No two messages share this value, but often the rest."""
    at = block.find(begin)
    if at < 0:
        return b"", block
    end = block.find(b"\r\n", at + 2)
    value = block[at + len(begin) :] if end < 0 else block[at + len(begin) : end]
    if not 0 < len(value) <= _NUMBERS_LENGTH or value.translate(None, _NUMBERS):
        return b"", block
    return value, block[:at] + (block[end:] if end >= 0 else b"")


def read_request(block: bytes) -> RequestHead:
    """The head in *block*, without its blank line. Raises Malformed."""
    seen = _requests.get(block)
    if seen is not None:
        return seen
    head = _read_request(block)
    if not (head.planned or head.trace):
        remember(_requests, block, head)
    return head


def _read_request(block: bytes) -> RequestHead:
    lines = block.split(b"\r\n")
    start = _starts.get(lines[0]) or _read_start(lines[0])
    head = RequestHead(start)
    if len(lines) > LINES_LIMIT:
        raise Malformed("too many header lines", statuses.FIELDS_TOO_LARGE)
    for field in _sort(lines, head.plain, head.trace):
        _REQUEST_READERS[field.kind](head, field)
    _settle(head)
    authority = start.authority
    if not head.host:
        if head.minor == 1:
            raise Malformed("no Host")
        head.host = authority or b"localhost"
    elif authority and authority.lower() != head.host.lower():
        raise Malformed("the target's authority is not the Host")
    if head.upgrade and (
        not head.upgrading
        or head.minor == 0
        or head.length > 0
        or head.chunked
        or b"h2c" in head.upgrade.lower()
    ):
        # A server may ignore Upgrade (RFC 9110, section 7.8); h2c would take requests past this proxy's rules.
        head.upgrade = b""
    bare = not head.chunked and head.length <= 0
    head.simple = bare and head.keep_alive and head.minor == 1 and head.method != b"HEAD"
    return head


def read_response(block: bytes) -> ResponseHead:
    """The head of an answer in *block*, without its blank line. Raises Malformed."""
    seen = _responses.get(block)
    if seen is not None:
        return seen
    head = _read_response(block)
    if not head.app:
        remember(_responses, block, head)
    return head


def _read_response(block: bytes) -> ResponseHead:
    lines = block.split(b"\r\n")
    match = _status_line(lines[0])
    if match is None or len(lines) > LINES_LIMIT:
        raise Malformed("no HTTP/1 status line, or too many header lines")
    head = ResponseHead(match[1][0] - 48, int(match[2]), match[3] or b"")
    plain = head.plain
    for field in _sort(lines, plain, plain):
        reader = _RESPONSE_READERS.get(field.kind)
        if reader is not None:
            reader(head, field)
        elif field.kind in _PASSED_IN_ANSWERS:
            plain.append(field.line)
    _settle(head)
    if head.status == 204 or head.status < 200:
        if head.chunked or head.length > 0:
            raise Malformed("an answer without content says that it has some")
        head.length = -1
    head.simple = head.length >= 0 and head.status != 304
    return head


def _sort(lines: list[bytes], plain: list[bytes], trace: list[bytes]) -> list[Field]:
    """The fields in *lines* (the first is no header) that mean something to an intermediary; those of Trace Context are added to *trace*, the others to *plain*. Raises Malformed."""
    known = known_fields.get
    special = []
    for line in lines[1:]:
        field = known(line) or read_field(line)
        if not field[0]:
            plain.append(field[1])
        elif field[0] == _TRACE:
            trace.append(field[1])
        else:
            special.append(field)
    return special


def _settle(head: RequestHead | ResponseHead) -> None:
    """What several fields say together. Raises Malformed."""
    if head.closing:
        head.keep_alive = False
    if head.chunked and (head.length >= 0 or head.minor == 0):
        raise Malformed("Transfer-Encoding beside Content-Length, or in HTTP/1.0")


def _read_start(line: bytes) -> Start:
    if len(line) > START_LIMIT:
        raise Malformed("the request line is too long", statuses.URI_TOO_LONG)
    match = _request_line(line)
    if match is None:
        raise Malformed("no HTTP/1 request line")
    method, target = match[1], match[2]
    if match[3] != b"1" or match[4] not in b"01":
        raise Malformed("only HTTP/1.1 and HTTP/1.0 are spoken here", statuses.VERSION_NOT_SUPPORTED)
    if method == b"CONNECT":
        raise Malformed("this proxy opens no tunnels", statuses.NOT_IMPLEMENTED)
    authority = b""
    if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
        absolute = _absolute(target)
        if absolute is None or not _host(absolute[1]):
            raise Malformed("the request target is neither a path nor an http URL")
        authority = absolute[1]
        target = absolute[2] or (b"*" if method == b"OPTIONS" else b"/")
        if target.startswith(b"?"):
            target = b"/" + target
    if b"#" in target:
        raise Malformed("the request target has a fragment")
    start = Start(method, target, authority, match[4][0] - 48, b"%s %s HTTP/1.1" % (method, target))
    if len(line) <= CACHED_LENGTH:
        if len(_starts) >= CACHED_LINES:
            _starts.clear()
        _starts[line] = start
    return start


# What each special field means for a request.


def _read_host(head: RequestHead, field: Field) -> None:
    if head.host or not _host(field.value):
        raise Malformed("Host is repeated or is no host")
    head.host = field.value


def _read_length(head: RequestHead | ResponseHead, field: Field) -> None:
    if head.length >= 0 or not _digits(field.value):
        raise Malformed("Content-Length is repeated or is no number")
    head.length = int(field.value)


def _read_coding(head: RequestHead | ResponseHead, field: Field) -> None:
    if head.chunked or field.value.lower() != b"chunked":
        raise Malformed("a transfer coding other than one final chunked")
    head.chunked = True


def _read_connection(head: RequestHead | ResponseHead, field: Field) -> None:
    nominated = set()
    for option in options_of(field.value):
        if option == b"close":
            head.closing = True
        elif option == b"keep-alive":
            head.keep_alive = True
        elif option == b"upgrade":
            head.upgrading = True
        elif not is_token(option) or option in _NOT_NOMINATED:
            raise Malformed("Connection names what must not be removed")
        else:
            nominated.add(option)
    if nominated:
        for lines in (head.plain, head.trace if isinstance(head, RequestHead) else []):
            lines[:] = [line for line in lines if line.partition(b":")[0].lower() not in nominated]


def _read_upgrade(head: RequestHead | ResponseHead, field: Field) -> None:
    head.upgrade = field.value if not head.upgrade else head.upgrade + b", " + field.value


def _read_expect(head: RequestHead, field: Field) -> None:
    if field.value.lower() != b"100-continue":
        raise Malformed("an expectation other than 100-continue", statuses.EXPECTATION_FAILED)
    head.expect = head.minor == 1


def _read_te(head: RequestHead, field: Field) -> None:
    head.trailers = head.trailers or b"trailers" in options_of(field.value)


def _read_forwarded_for(head: RequestHead, field: Field) -> None:
    head.forwarded_for += field.value + b", " if field.value else b""


def _read_planned(head: RequestHead, field: Field) -> None:
    if head.planned:
        raise Malformed("windtunnel-request is repeated")
    head.planned = field.value
    head.plain.append(field.line)


def _read_max_forwards(head: RequestHead, field: Field) -> None:
    if head.method not in (b"OPTIONS", b"TRACE"):
        head.plain.append(field.line)
        return
    if head.max_forwards >= 0 or not _digits(field.value):
        raise Malformed("Max-Forwards is repeated or is no number")
    head.max_forwards = int(field.value)


def _ignore(head: RequestHead | ResponseHead, field: Field) -> None:
    """A field of the hop before, or one that only this proxy writes."""


def _read_app(head: ResponseHead, field: Field) -> None:
    head.app = field.value


def _read_cause(head: ResponseHead, field: Field) -> None:
    head.cause = field.value


_REQUEST_READERS: dict[int, Callable[[RequestHead, Field], None]] = {
    Kind.HOST: _read_host, Kind.LENGTH: _read_length, Kind.CODING: _read_coding,
    Kind.CONNECTION: _read_connection, Kind.HOP: _ignore, Kind.UPGRADE: _read_upgrade,
    Kind.EXPECT: _read_expect, Kind.TE: _read_te, Kind.FORWARDED_FOR: _read_forwarded_for,
    Kind.OURS: _ignore, Kind.PLANNED: _read_planned, Kind.APP: _ignore, Kind.CAUSE: _ignore,
    Kind.MAX_FORWARDS: _read_max_forwards,
}  # fmt: skip
_RESPONSE_READERS: dict[int, Callable[[ResponseHead, Field], None]] = {
    Kind.LENGTH: _read_length, Kind.CODING: _read_coding, Kind.CONNECTION: _read_connection,
    Kind.HOP: _ignore, Kind.UPGRADE: _read_upgrade, Kind.APP: _read_app, Kind.CAUSE: _read_cause,
    Kind.OURS: _ignore, Kind.TE: _ignore, Kind.PLANNED: _ignore,
}  # fmt: skip
_PASSED_IN_ANSWERS = {Kind.HOST, Kind.EXPECT, Kind.FORWARDED_FOR, Kind.MAX_FORWARDS}
