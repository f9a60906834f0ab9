"""The header by which an application says a metric in its answers: ``windtunnel-metric: NAME=VALUE[, NAME=VALUE...]``. The proxy takes it out and keeps the last value of each name."""

from .limits import BadMetric, Names, checked_name, number

MOST = 16
"""Metrics in one answer."""


def read_header(value: bytes) -> list[tuple[str, float]]:
    """The names and values of a header. Raises BadMetric."""
    found = []
    for part in value.decode("latin-1").split(","):
        name, equals, text = part.strip(" \t").partition("=")
        if not equals:
            raise BadMetric(f"windtunnel-metric: expected NAME=VALUE, got {part.strip()[:80]!r}")
        found.append((checked_name(name.rstrip(" \t")), number(text.strip(" \t"))))
    if len(found) > MOST:
        raise BadMetric(f"windtunnel-metric: expected at most {MOST} metrics in an answer, got {len(found)}")
    return found


def keep(told: dict[str, float], names: Names, value: bytes) -> None:
    """Keep in *told* what a header says. Raises BadMetric; what comes before it in the header is kept."""
    for name, figure in read_header(value):
        names.admit(name)
        told[name] = figure
