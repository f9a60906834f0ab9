"""From the live clock to the scenario's time."""

import json
from typing import Any

import numpy as np
from windtunnel.backends.local.recording import Recording
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW
from windtunnel.core.policies.view import LONG_AGO, FleetView, Proposal, ServerView
from windtunnel.core.records import METRICS, rows_of
from windtunnel.core.scaling_decision import Decision
from windtunnel.reports.sink import MemorySink
from windtunnel.reports.tables import names_of

SECOND = 1_000_000_000


def recording() -> tuple[Recording, MemorySink]:
    sink = MemorySink(names_of(["users"], ["/"]))
    return Recording(sink), sink


def test_events_of_several_processes_come_in_order_and_in_scenario_time() -> None:
    kept, sink = recording()
    kept.event(2 * SECOND, "launched", {"server": 1})
    kept.flush(100 * SECOND)
    assert sink.lines == []
    kept.begin(5 * SECOND)
    kept.event(9 * SECOND, "ejected", {"server": 1, "until": 14 * SECOND})
    kept.event(8 * SECOND, "unhealthy", {"server": 1})
    kept.flush(9 * SECOND)
    assert len(sink.lines) == 2
    kept.event(20 * SECOND, "killed", {"server": 1})
    kept.end(4 * SECOND)
    assert sink.lines == [
        '{"event":"launched","server":1,"t":0}',
        '{"event":"unhealthy","server":1,"t":3000000000}',
        '{"event":"ejected","server":1,"t":4000000000,"until":9000000000}',
    ]


def test_turns_of_the_autoscaler_are_moved_and_end_with_the_run() -> None:
    kept, sink = recording()
    server = ServerView("a", {**dict.fromkeys(METRICS, 1.0), "jobs": 2.5}, LONG_AGO, 6 * SECOND)

    def turn(now: int) -> Any:
        view = FleetView(now, (server,), (4 * SECOND,), 1, -1)
        decision = Decision(2, 2, "within", (), view, Proposal(2, "within"))
        return json.loads(json.dumps(rows_of(now, decision, False)))

    kept.decided(*turn(7 * SECOND))
    kept.begin(5 * SECOND)
    for second in (7, 9):
        kept.decided(*turn(second * SECOND))
    kept.close(4 * SECOND)
    kept.decided(*turn(10 * SECOND))
    rows = sink.records["decisions"].take().to_pylist()
    assert [row["time_ns"] for row in rows] == [2 * SECOND, 4 * SECOND]
    assert {row["last_action_ns"] for row in rows} == {-1}
    seen, booting, *_ = sink.records["observations"].take().to_pylist()
    assert (seen["since_ns"], seen["sampled_ns"], seen["custom"]) == (LONG_AGO, SECOND, '{"jobs":2.5}')
    # What happened before the scenario's zero happens at 0.
    assert booting["since_ns"] == 0


def test_rows_pass_as_they_are_and_empty_frames_do_not() -> None:
    kept, sink = recording()
    requests, attempts = np.zeros(2, REQUEST_ROW), np.zeros(3, ATTEMPT_ROW)
    kept.rows([(requests, attempts), (requests[:0], attempts[:0])])
    assert (len(sink.tables["requests"]), len(sink.tables["attempts"])) == (2, 3)
