"""From the live clock to the scenario's time."""

import numpy as np
from windtunnel.backends.local.recording import Recording
from windtunnel.core.columns import ATTEMPT_ROW, REQUEST_ROW
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


def test_rows_pass_as_they_are_and_empty_frames_do_not() -> None:
    kept, sink = recording()
    requests, attempts = np.zeros(2, REQUEST_ROW), np.zeros(3, ATTEMPT_ROW)
    kept.rows([(requests, attempts), (requests[:0], attempts[:0])])
    assert (len(sink.tables["requests"]), len(sink.tables["attempts"])) == (2, 3)
