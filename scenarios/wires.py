"""From exact bytes to what they lead to: which of them are requests and to which endpoint, which are refused, and when. ``core.http`` decides."""

from typing import NamedTuple

from ..core.http.intake import OPEN, PASSED, REFUSED, Message, read_wire
from ..core.model import NONE, SECOND, EndpointSpec, WireMessage
from ..core.outcomes import Outcome
from .fuzz.wire import CLOSE, HALF_CLOSE, RESET, addressed
from .paths import PathMatcher
from .plan import ExactBytes
from .schema_wire import WireConnection

_ANYONE = b"127.0.0.1:80"
"""Stands for the fleet's address while nobody knows it."""
OK, APP_ERROR, BAD_REQUEST = int(Outcome.OK), int(Outcome.APP_ERROR), int(Outcome.BAD_REQUEST)


class CompiledWire(NamedTuple):
    """A connection's *messages*, the *endpoints* that they ask for, when the client leaves (*timeout*: ns, NONE: never), bytes of *content*, and the bytes for a flight."""

    messages: tuple[WireMessage, ...]
    endpoints: tuple[int, ...]
    timeout: int
    content: int
    exact: ExactBytes


def compile_wire(
    connection: WireConnection, patience: int, matcher: PathMatcher, endpoints: tuple[EndpointSpec, ...]
) -> CompiledWire:
    """What *connection* leads to, whose client gives up after *patience* (ns, NONE: never)."""
    pieces, over = _pieces(connection)
    left = over if connection.end in (CLOSE, HALF_CLOSE, RESET) else NONE
    read = read_wire(pieces, left)
    timeout = left
    if connection.end == HALF_CLOSE and read and all(one.became not in (OPEN, PASSED) for one in read):
        # What the proxy itself says comes at once, and before it sees that the client is gone.
        timeout = NONE
    if timeout != NONE:
        timeout = max(timeout, 1)
    if patience != NONE:
        timeout = patience if timeout == NONE else min(timeout, patience)
    asked = tuple(
        matcher.number(one.target) if one.target and one.became == PASSED else matcher.default for one in read
    ) or (matcher.default,)
    expected = connection.expect or []
    made = [
        _message(
            one,
            expected[number] if number < len(expected) else 0,
            endpoints[asked[number]].status,
            timeout,
            connection.reads and number == len(read) - 1,
        )
        for number, one in enumerate(read)
    ]
    exact = ExactBytes(
        pieces=tuple((time, step) for (time, _), step in zip(pieces, _raw(connection), strict=True)),
        methods=tuple(one.method.decode("latin-1") for one in read),
        end=connection.end,
        over=over,
        reads=connection.reads,
    )
    content = next((one.length for one in read if one.became == PASSED and one.length), 0)
    silent = (WireMessage(upload=NONE, expected=expected[0] if expected else 0),)
    return CompiledWire(tuple(made) or silent, asked, timeout, content, exact)


def _raw(connection: WireConnection) -> list[bytes]:
    return [step.data for step in connection.steps]


def _pieces(connection: WireConnection) -> tuple[list[tuple[int, bytes]], int]:
    """The bytes and when each is sent (ns), for anyone, and when the last pause is over."""
    now, pieces = 0, []
    steps = addressed([(step.data, step.pause / SECOND) for step in connection.steps], _ANYONE)
    for step, (data, _) in zip(connection.steps, steps, strict=False):
        pieces.append((now, data))
        now += step.pause
    # A place for the authority that breaks off at the very end.
    rest = b"".join(data for data, _ in steps[len(connection.steps) :])
    if rest:
        pieces[-1] = (pieces[-1][0], pieces[-1][1] + rest)
    return pieces, now


def _message(message: Message, expected: int, planned: int, timeout: int, last: bool) -> WireMessage:
    upload = NONE if message.became == OPEN else message.time
    if timeout != NONE and upload >= timeout:
        upload = NONE
    outcome = 0
    if message.became == REFUSED:
        outcome = OK if expected == message.status else BAD_REQUEST
    elif message.status:
        outcome = OK if expected in (0, message.status) else APP_ERROR
    elif expected and expected != planned:
        outcome = APP_ERROR
    return WireMessage(
        upload,
        message.status,
        expected,
        outcome,
        message.became == REFUSED or last or (message.became == PASSED and not message.stays),
    )
