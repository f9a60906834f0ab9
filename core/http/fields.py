"""Header fields of HTTP/1.x: one line read strictly, and what an intermediary has to do with it (RFC 9110, section 5; RFC 9112, section 5)."""

import re
from enum import IntEnum
from typing import NamedTuple

from .statuses import BAD_REQUEST, FIELDS_TOO_LARGE

LINE_LIMIT = 16_384
"""Bytes of a header line; beyond it 431."""
HEAD_LIMIT = 65_536
"""Bytes of a head; beyond it 431."""
LINES_LIMIT = 128
"""Header lines of a message; beyond it 431."""


class Malformed(Exception):
    """A message that is not forwarded; *status* is what its sender is told if it was a request."""

    def __init__(self, reason: str, status: int = BAD_REQUEST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Kind(IntEnum):
    """What an intermediary does with a field."""

    PLAIN = 0
    HOST = 1
    LENGTH = 2
    CODING = 3
    CONNECTION = 4
    HOP = 5
    UPGRADE = 6
    EXPECT = 7
    TE = 8
    FORWARDED_FOR = 9
    OURS = 10
    PLANNED = 11
    APP = 12
    CAUSE = 13
    MAX_FORWARDS = 14
    TRACE = 15


_KINDS = {
    b"host": Kind.HOST,
    b"content-length": Kind.LENGTH,
    b"transfer-encoding": Kind.CODING,
    b"connection": Kind.CONNECTION,
    b"keep-alive": Kind.HOP,
    b"proxy-connection": Kind.HOP,
    b"proxy-authenticate": Kind.HOP,
    b"proxy-authorization": Kind.HOP,
    b"http2-settings": Kind.HOP,
    b"upgrade": Kind.UPGRADE,
    b"expect": Kind.EXPECT,
    b"te": Kind.TE,
    b"x-forwarded-for": Kind.FORWARDED_FOR,
    b"x-forwarded-proto": Kind.OURS,
    b"x-forwarded-host": Kind.OURS,
    b"windtunnel-times": Kind.OURS,
    b"windtunnel-try": Kind.OURS,
    b"windtunnel-request": Kind.PLANNED,
    b"windtunnel-app": Kind.APP,
    b"windtunnel-cause": Kind.CAUSE,
    b"max-forwards": Kind.MAX_FORWARDS,
    b"traceparent": Kind.TRACE,
    b"tracestate": Kind.TRACE,
}
FRAMING_NAMES = {b"host", b"content-length", b"transfer-encoding"}
_NOT_IN_TRAILERS = {
    Kind.HOST, Kind.LENGTH, Kind.CODING, Kind.CONNECTION, Kind.HOP, Kind.UPGRADE, Kind.EXPECT, Kind.TE,
    Kind.FORWARDED_FOR, Kind.OURS, Kind.PLANNED, Kind.APP, Kind.CAUSE, Kind.MAX_FORWARDS,
}  # fmt: skip

_UNIQUE = {b"windtunnel-request", b"windtunnel-app", b"traceparent"}
"""Fields that no two messages share."""

is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_bad_value = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").search

CACHED_LINES = 4_096
CACHED_LENGTH = 256
"""So many well-formed lines are remembered, none longer than this."""


class Field(NamedTuple):
    """A header line: ``Name: value`` as it is passed on, its name in lower case, its value."""

    kind: int
    line: bytes
    name: bytes
    value: bytes


known_fields: dict[bytes, Field] = {}


def read_field(line: bytes) -> Field:
    """A header line. Raises Malformed."""
    name, colon, value = line.partition(b":")
    if not colon or not is_token(name):
        # A folded line begins with a blank, which no token does.
        raise Malformed("a header line is folded, has no colon, or a name that is no token")
    if len(line) > LINE_LIMIT:
        raise Malformed("a header line is too long", FIELDS_TOO_LARGE)
    value = value.strip(b" \t")
    if _bad_value(value):
        raise Malformed("a header's value holds control characters")
    lower = name.lower()
    if b"_" in name and lower.replace(b"_", b"-") in FRAMING_NAMES:
        raise Malformed("a header's name is one that some readers take for a framing field")
    field = Field(int(_KINDS.get(lower, Kind.PLAIN)), b"%s: %s" % (name, value), lower, value)
    if len(line) <= CACHED_LENGTH and lower not in _UNIQUE:
        if len(known_fields) >= CACHED_LINES:
            known_fields.clear()
        known_fields[line] = field
    return field


def read_trailers(block: bytes) -> list[bytes]:
    """The lines of a trailer section that may be passed on. Raises Malformed for those that would change framing or routing."""
    kept = []
    for line in block.split(b"\r\n") if block else []:
        field = read_field(line)
        if field.name in FRAMING_NAMES:
            raise Malformed("a trailer field that belongs into the head")
        if field.kind not in _NOT_IN_TRAILERS:
            kept.append(field.line)
    if len(kept) > LINES_LIMIT:
        raise Malformed("too many trailer lines", FIELDS_TOO_LARGE)
    return kept


def options_of(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case, empty ones left out."""
    return [option for part in value.lower().split(b",") if (option := part.strip(b" \t"))]
