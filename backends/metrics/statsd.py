"""StatsD lines, read strictly: ``NAME:VALUE[:VALUE...]|TYPE[|@RATE][|#TAGS]``.

The protocol is that of https://github.com/statsd/statsd/blob/master/docs/metric_types.md, with DogStatsD's additions (several values, types ``h`` and ``d``, tags, ``|c:`` and ``|T``;
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/). Tags are not kept: lines of one name are of one metric. Sets, events and service checks are bad lines.
"""

from typing import NamedTuple

from .limits import BadMetric, checked_name, number

GAUGE, COUNTER, TIMER = "gauge", "counter", "timer"

KINDS = {"g": GAUGE, "c": COUNTER, "ms": TIMER, "h": TIMER, "d": TIMER}

MOST_VALUES = 100
"""Values of one line."""

_IGNORED = ("#", "c:", "T", "e:")
"""How sections begin that are not kept: tags, container, time, external data."""


class Line(NamedTuple):
    """What a line says. *rate*: the share of its kind that was sent, 0 to 1. *relative*: a gauge's values are added to what it is."""

    name: str
    kind: str
    values: tuple[float, ...]
    rate: float = 1.0
    relative: bool = False


def parse_line(text: str) -> Line:
    """What a line says. Raises BadMetric."""
    name, colon, rest = text.partition(":")
    if not colon:
        raise BadMetric(f"expected NAME:VALUE|TYPE, got {text[:80]!r}")
    checked_name(name)
    values, *sections = rest.split("|")
    if not sections or sections[0] not in KINDS:
        raise BadMetric(f"expected one of the types {', '.join(KINDS)}, got {'|'.join(sections)[:40]!r}")
    words = values.split(":")
    if len(words) > MOST_VALUES:
        raise BadMetric(f"expected at most {MOST_VALUES} values in a line, got {len(words)}")
    kind = KINDS[sections[0]]
    numbers = tuple(number(word) for word in words)
    if kind == TIMER and min(numbers) < 0:
        raise BadMetric(f"expected no time below 0, got {min(numbers):g}")
    relative = kind == GAUGE and words[0][0] in "+-"
    return Line(name, kind, numbers, _rate(sections[1:]), relative)


def _rate(sections: list[str]) -> float:
    rate = 1.0
    for section in sections:
        if section.startswith("@"):
            rate = number(section[1:])
            if not 0 < rate <= 1:
                raise BadMetric(f"expected a sample rate above 0 and up to 1, got {section!r}")
        elif not section.startswith(_IGNORED):
            raise BadMetric(f"expected @RATE or #TAGS, got {section[:40]!r}")
    return rate
