"""registry_down, registry_slow, registry_flush."""

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.sim.faults.support import even, fault, growing, times
from windtunnel.tests.support import both_engines, happened, outcomes, run

__all__ = ["both_engines"]
pytestmark = pytest.mark.usefixtures("both_engines")


def test_without_the_registry_servers_serve_and_nobody_decides() -> None:
    found = run(growing(fault("registry_down", "500ms", length="9s")))
    assert outcomes(found) == {"ok": 3000}
    assert next(event["reason"] for event in happened(found, "decision")) == "unreachable"
    assert times(found, "registry_unreachable") == [1.0]
    assert times(found, "registry_reachable") == [10.0]
    assert times(found, "launched")[1] == 10.0


def test_a_server_that_boots_without_a_registry_registers_later() -> None:
    found = run(growing(fault("registry_down", "2500ms", length="4s")))
    assert times(found, "ready")[1] == 3.0
    first = min(row["time_ns"] for row in found.requests.to_pylist() if row["server"] == 2)
    # It tries each second: at 7 s it succeeds, and the proxy reads the lists in that very second.
    assert first / SECOND == pytest.approx(7.0, abs=0.02)


def test_a_slow_registry_delays_what_is_decided() -> None:
    found = run(growing(fault("registry_slow", "0s", attributes={"latency": "300ms"})))
    assert times(found, "launched")[1] == 1.3
    timeout = run(growing(fault("registry_slow", "0s", attributes={"latency": "1s"})))
    assert times(timeout, "launched") == [0.0]
    assert "no answer" in happened(timeout, "registry_unreachable")[0]["error"]


def test_a_flushed_registry_ends_everything_unless_servers_come_back() -> None:
    document = even("50/s", "10s", fault("registry_flush", "3500ms"), fleet={"app": {"initial": 2}})
    lost = run(document)
    assert outcomes(lost) == {"ok": 200, "no_server": 300}
    document["fleet"]["registry"] = {"reregister": "500ms"}
    assert outcomes(run(document)) == {"ok": 500}


def test_numbers_go_on_after_a_flush() -> None:
    document = growing(fault("registry_flush", "2500ms"))
    numbers = [event["server"] for event in happened(run(document), "launched")]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 2


def test_nobody_is_ended_for_a_silence_that_was_the_registrys() -> None:
    """An outage that ends between two writes of the monitors, and a flush: servers that work stay."""
    document = growing(
        fault("registry_down", "1s", length="10300ms"),
        interval="700ms",
        dead_after="5s",
        policy={"threshold": {"requests_high": "1000/s", "requests_low": "10/s"}},
    )
    document["fleet"]["app"].update(initial=2, min=2)
    assert happened(run(document), "terminated") == []
    document["faults"] = [fault("registry_flush", "12500ms")]
    document["fleet"]["registry"] = {"reregister": "3s"}
    # Others come, for the lists are empty, and go when these have registered again.
    ended = {event["server"]: event["reason"] for event in happened(run(document), "terminated")}
    assert set(ended) <= {3, 4}
    assert set(ended.values()) == {"drained"}
