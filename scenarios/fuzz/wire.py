"""What is sent on a connection, byte for byte and pause for pause."""

from collections.abc import Sequence
from dataclasses import dataclass

from .requests import Request

AUTHORITY = b"{authority}"
"""Stands for HOST:PORT until it is known whom the bytes are for."""

WAIT, CLOSE, HALF_CLOSE, RESET = ENDS = ("wait", "close", "half-close", "reset")
"""What a client does when it has sent all: read what comes, leave, leave its sending side only, or reset the connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes, and a pause (s) after them."""

    data: bytes
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection's worth. *kind* names the class and what is done; *methods* are those of the requests in it, as far as they are known.

    *answers*: so many must come; -1: whatever comes may be right. *complete*: the bytes end a message under every reading of them, so that an answer or the
    connection's end must follow. *end*: one of ENDS. *reads*: answers are read.
    """

    kind: str
    steps: tuple[Step, ...]
    methods: tuple[str, ...] = ()
    answers: int = -1
    complete: bool = False
    end: str = WAIT
    reads: bool = True

    @property
    def data(self) -> bytes:
        """All bytes."""
        return b"".join(step.data for step in self.steps)


def addressed(steps: Sequence[tuple[bytes, float]], authority: bytes) -> list[tuple[bytes, float]]:
    """*steps* (bytes, and a pause after them) for *authority*; one that ends within the place for it ends before it."""
    made: list[tuple[bytes, float]] = []
    held = b""
    for given, pause in steps:
        data = held + given
        cut = len(data) - _begun(data)
        held = data[cut:]
        made.append((data[:cut].replace(AUTHORITY, authority), pause))
    return [*made, (held, 0.0)] if held else made


def _begun(data: bytes) -> int:
    """Bytes of AUTHORITY that *data* ends with, if not all of it."""
    return next((size for size in range(len(AUTHORITY) - 1, 0, -1) if data.endswith(AUTHORITY[:size])), 0)


def wire_of(request: Request) -> Wire:
    """The well-formed *request* on a connection of its own."""
    lines = [f"{request.method} {request.target} HTTP/1.1", "host: {authority}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.content is not None:
        if request.content_type is not None:
            lines.append(f"content-type: {request.content_type}")
        lines.append(f"content-length: {len(request.data)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return Wire(request.kind, (Step(head + request.data),), (request.method,), 1, True)
