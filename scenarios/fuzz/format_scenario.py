"""Generated tests as a scenario: the load test beside it is its traffic, the fleet is that of a scenario that was given, or a small one."""

import math
from collections.abc import Sequence
from typing import Any

import yaml

from ..paths import DEFAULT_PATH, PathMatcher, path_of
from ..scenario import Scenario
from .cases import Entry, HostileEntry
from .format_scripts import DEFAULT_SECONDS
from .format_wire import hostile_traffic
from .requests import UNKNOWN

_CLOSED_SECONDS = 60
"""A scenario has an end also where an entry has none: for clients that send their number of requests one after another, so much time."""
_HOSTILE_SECONDS, _HOSTILE_RATE = 10, 10
"""Where no other entry says how long, and none of the hostile ones how many a second."""
_MOST_ENDPOINTS = 1000
_HEAD = """# Generated load tests; {tests} is the traffic of well-formed ones. A rehearsal knows each request's path, body size, rate and clients;
# a flight sends to the endpoint of each path, with its headers and a body of that size. Hostile ones are sent byte for byte.
"""


def scenario_text(
    entries: Sequence[Entry], tests: str, scenario: Scenario | None, hostile: Sequence[HostileEntry] = ()
) -> str:
    """A scenario file whose traffic is the load test *tests*, and *hostile* bytes beside it, over the fleet and the endpoints of *scenario*."""
    endless = any(entry.seconds is None and entry.rate is None for entry in entries)
    lengths = [_seconds(entry) for entry in entries]
    whole = (max(lengths) if endless else sum(lengths)) if lengths else _HOSTILE_SECONDS
    document: dict[str, Any] = {"scenario": "fuzz", "seed": 1, "duration": f"{math.ceil(whole) + 1}s"}
    if scenario is None:
        document["fleet"] = {"app": {"initial": 2, "workers": 4}}
        document["endpoints"] = _endpoints(entries)
    else:
        given = scenario.document.model_dump(mode="json", by_alias=True, exclude_unset=True)
        document |= {part: given[part] for part in ("fleet", "endpoints") if part in given}
    # Where nobody knows when an entry ends, none can come after it.
    order = {"order": "parallel"} if endless else {}
    document["traffic"] = (
        [{"name": "fuzz", "loadtest": tests, **order, "client": {"timeout": "10s"}}] if entries else []
    )
    if hostile:
        rates = [one.rate for one in hostile if one.rate is not None] or [_HOSTILE_RATE]
        wires = [one.wire for one in hostile]
        document["traffic"].append(hostile_traffic(wires, sum(rates) / len(rates), whole))
    return _HEAD.format(tests=tests) + yaml.safe_dump(
        document, sort_keys=False, allow_unicode=False, width=120
    )


def _endpoints(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """An endpoint per path, but those that are not likely to be there."""
    paths = dict.fromkeys(path_of(entry.request.target) for entry in entries if entry.request.kind != UNKNOWN)
    kept = [path for path in paths if path != DEFAULT_PATH and _is_plain(path)][:_MOST_ENDPOINTS]
    return [{"path": path, "cpu": {"exponential": {"mean": "2ms"}}} for path in kept or ["/"]]


def _is_plain(path: str) -> bool:
    """Whether an endpoint of that path matches that path alone."""
    return PathMatcher([path]).number(path) == 0 and "/:" not in path and len(path) <= 200


def _seconds(entry: Entry) -> float:
    times = [] if entry.seconds is None else [float(entry.seconds)]
    if entry.requests is not None:
        times.append(_CLOSED_SECONDS if entry.rate is None else entry.requests / entry.rate)
    return min(times, default=float(DEFAULT_SECONDS))
