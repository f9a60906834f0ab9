"""registry_down, registry_slow, registry_flush, registry_restart, stale_registry."""

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.run import Run
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


def test_a_registry_that_restarts_is_away_and_then_empty() -> None:
    document = even(
        "50/s", "10s", fault("registry_restart", "3500ms", length="2s"), fleet={"app": {"initial": 2}}
    )
    lost = run(document)
    assert times(lost, "registry_unreachable") == [4.0]
    # Away it keeps its table; at 6 s it reads empty lists.
    assert outcomes(lost) == {"ok": 300, "no_server": 200}
    document["fleet"]["registry"] = {"reregister": "5s"}
    back = outcomes(run(document))
    # Heartbeats at 5 s and 10 s: the first one finds nobody.
    assert back == {"ok": 300, "no_server": 200}
    document["fleet"]["registry"] = {"reregister": "1500ms"}
    assert outcomes(run(document)) == {"ok": 500}, "at 6 s they register, and then the proxy reads"


def test_an_autoscaler_that_comes_back_to_an_empty_registry_goes_on() -> None:
    document = growing(fault("registry_restart", "2500ms", length="1s"))
    document["fleet"]["registry"] = {"reregister": "1s"}
    found = run(document)
    assert outcomes(found)["ok"] >= 2900
    assert len({event["server"] for event in happened(found, "launched")}) == len(happened(found, "launched"))


DRAINING = {"policy": {"threshold": {"requests_high": "100/s", "requests_low": "50/s"}}, "drain_grace": "2s"}


def stale(reader: str) -> Run:
    """A scale-in from two servers to one, while *reader* reads what was 4 s ago."""
    lag = fault("stale_registry", "0s", attributes={"lag": "4s", "reader": reader})
    document = even("20/s", "12s", lag)
    document["fleet"] = {"app": {"initial": 2, "min": 1, "workers": 4}}
    document["autoscaler"] = DRAINING
    return run(document)


def test_a_proxy_that_reads_from_a_replica_sends_to_servers_that_are_gone() -> None:
    found = stale("proxy")
    assert (times(found, "draining"), times(found, "terminated")) == ([1.0], [3.0])
    # The proxy knows at 5 s: half of 40 requests.
    assert outcomes(found) == {"ok": 220, "connect_failed": 20}


def test_an_autoscaler_that_reads_from_a_replica_drains_the_last_server() -> None:
    """What it has ended is still in the lists that it reads, where it takes it for somebody else's: two servers, one too many."""
    found = stale("autoscaler")
    assert [(event["server"], event["t"] // SECOND) for event in happened(found, "draining")][::2] == [
        (2, 5),
        (1, 8),
    ]
    assert outcomes(found)["no_server"] > 0


def test_an_autoscaler_that_reads_from_a_replica_decides_late() -> None:
    found = run(growing(fault("stale_registry", "0s", attributes={"lag": "4s", "reader": "autoscaler"})))
    assert times(found, "launched")[1] == 5.0, "the samples of 1 s say 150/s"
    assert outcomes(found) == {"ok": 3000}
