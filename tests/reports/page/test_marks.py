"""Marks of the timeline."""

import re
from pathlib import Path

from windtunnel.reports.page.marks import _KINDS, _SILENT, bounded, mark, marks
from windtunnel.reports.page.model import NONE, Mark


def test_what_lasts_and_what_is_a_moment() -> None:
    found = marks([
        {"t": 0, "event": "run"}, {"t": 0, "event": "launched", "server": 1, "role": "app"},
        {"t": 5, "event": "fault", "name": "a", "type": "kill", "targets": [2]},
        {"t": 6, "event": "fault", "name": "b", "type": "slow", "targets": ["db", "proxy"], "until": 9},
        {"t": 7, "event": "fault", "name": "c", "type": "loss", "targets": ["clients"], "until": -1},
        {"t": 8, "event": "fault", "name": "d", "type": "loss", "targets": ["clients"], "by": "hand"},
        {"t": 9, "event": "fault_over", "name": "b", "type": "slow"},
        {"t": 10, "event": "decision", "actual": 1, "desired": 2, "reason": "load", "actions": 1},
        {"t": 11, "event": "ejected", "server": 3, "until": 20}, {"t": 20, "event": "unejected", "server": 3},
        {"t": 21, "event": "never heard of"},
    ], ["db"])  # fmt: skip
    told = [(one["kind"], one["phase"], one["name"], one["until"], list(one["nodes"])) for one in found]
    assert told == [
        ("fault", "at", "a", NONE, ["server-2"]), ("fault", "begins", "b", 9, ["dependency-db", "proxy"]),
        ("fault", "begins", "c", -1, ["clients"]), ("fault", "begins", "d", NONE, ["clients"]),
        ("fault", "ends", "b", NONE, []),
        ("scaling", "at", "decision", NONE, []), ("proxy", "begins", "ejection of server 3", NONE, ["server-3"]),
        ("proxy", "ends", "ejection of server 3", NONE, ["server-3"]), ("other", "at", "never heard of", NONE, []),
    ]  # fmt: skip
    assert found[5]["text"] == "1 servers, 2 wanted: load"


def test_every_event_of_the_run_format_has_a_place() -> None:
    page = (Path(__file__).parents[3] / "docs" / "run-format.md").read_text()
    rows = page[page.index("| event | fields |") :].splitlines()[2:]
    documented = {word for row in rows for word in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert documented - set(_KINDS) - _SILENT == set()


def test_only_what_comes_in_masses_is_bounded() -> None:
    made = [mark({"t": time, "event": event, "server": 1, "name": "x"}) for time in range(50) for event in ("crashed", "alert")]  # fmt: skip
    found: list[Mark] = [one for one in made if one is not None]
    kept = bounded(found, 10)
    assert sum(one["kind"] == "alert" for one in kept) == 50
    assert [one["t"] for one in kept if one["kind"] == "server"] == list(range(10))
