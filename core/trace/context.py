"""W3C Trace Context, Level 2 (https://www.w3.org/TR/trace-context-2/): the headers ``traceparent`` and ``tracestate``, read and written.

A ``traceparent`` that is not valid is as good as none, and then the ``tracestate`` does not count either (section 4.3). One that came more than once is not valid. A
``tracestate`` that is not valid is left out; the trace goes on.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

PARENT, STATE = "traceparent", "tracestate"

SAMPLED, RANDOM = 0x01, 0x02
"""Trace flags (3.2.2.4): that it is recorded; that the last 56 bits of its id are random."""

LENGTH = 55
"""Of a traceparent of version 00."""

MOST_MEMBERS = 32
"""Of a tracestate (3.3.1.1)."""

_parent = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL).fullmatch
_key = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}").fullmatch
_value = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]").fullmatch
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_FIRST, _FORBIDDEN = "00", "ff"


class Parent(NamedTuple):
    """Who asks: trace id (32 hex digits), span id (16), flags."""

    trace: str
    span: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether it is recorded."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"{_FIRST}-{self.trace}-{self.span}-{self.flags & (SAMPLED | RANDOM):02x}"


def read_parent(text: str) -> Parent | None:
    """What a traceparent says (3.2.2); None if it is not valid. One of a later version may be longer, behind another dash (4.3)."""
    found = _parent(text)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if (
        version == _FORBIDDEN
        or trace == _NO_TRACE
        or span == _NO_SPAN
        or (version == _FIRST and more is not None)
    ):
        return None
    return Parent(trace, span, int(flags, 16))


def read_state(values: Sequence[str]) -> str:
    """The tracestate of a message's header lines together (3.3.1): empty if it is not valid."""
    members: dict[str, str] = {}
    for part in ",".join(values).split(","):
        member = part.strip(" \t")
        if not member:
            continue
        name, equals, value = member.partition("=")
        if not equals or not _key(name) or not _value(value) or name in members:
            return ""
        members[name] = value
    if len(members) > MOST_MEMBERS:
        return ""
    return ",".join(f"{name}={value}" for name, value in members.items())
