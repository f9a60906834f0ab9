"""A wire as a scenario says it: steps of text, pauses, the end; and a rate at which several of them are sent."""

import math
from collections.abc import Sequence
from typing import Any

from ...core.http.intake import REFUSED, Message, read_wire
from ..units import format_duration
from .wire import WAIT, Wire, addressed

_ANYONE = b"127.0.0.1:80"
_SECOND = 1_000_000_000
PATIENCE = 15
"""Seconds that a client of a hostile source has: longer than a proxy's for a head."""


def connection_of(wire: Wire, expect: Sequence[int] = ()) -> dict[str, Any]:
    """*wire* as an entry of ``wire.connections``; *expect*: the statuses that are right."""
    made: dict[str, Any] = {"steps": [_step(step.data, step.pause) for step in wire.steps]}
    if wire.end != WAIT:
        made["end"] = wire.end
    if not wire.reads:
        made["reads"] = False
    return made | ({"expect": list(expect)} if expect else {})


def _step(data: bytes, pause: float) -> dict[str, Any]:
    unit = data[: data.find(b"\r\n\r\n") + 4]
    times = len(data) // len(unit) if unit else 1
    repeated = times > 1 and unit * times == data
    step: dict[str, Any] = {"text": (unit if repeated else data).decode("latin-1")}
    if repeated:
        step["repeat"] = times
    return step | ({"pause": format_duration(round(pause * _SECOND))} if pause else {})


def read_as_said(wire: Wire) -> list[Message]:
    """What the proxy's rules make of *wire*."""
    now, pieces = 0, []
    for data, pause in addressed([(step.data, step.pause) for step in wire.steps], _ANYONE):
        pieces.append((now, data))
        now += round(pause * _SECOND)
    return read_wire(pieces, -1 if wire.end == WAIT else now)


def hostile_traffic(wires: Sequence[Wire], rate: float, seconds: float) -> dict[str, Any]:
    """A source that sends *wires* in turn, so many a second for so long."""
    stages = [{"for": f"{math.ceil(seconds)}s", "rate": f"{max(1, round(rate))}/s"}]
    return {
        "name": "hostile",
        "client": {"timeout": f"{PATIENCE}s"},
        "wire": {"connections": [connection_of(wire) for wire in wires], "stages": stages},
    }


def longest_wait(messages: Sequence[Message]) -> int:
    """Seconds after which all *messages* are decided."""
    return math.ceil(max((one.time for one in messages if one.became == REFUSED), default=0) / _SECOND)
