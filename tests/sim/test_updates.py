"""Versions and the steps of a deploy, on both engines: what they do to requests, servers and counters."""

from typing import Any

import pytest
from windtunnel.core.distributions import constant
from windtunnel.core.lifecycle import State
from windtunnel.core.model import SECOND, Memory, VersionSpec
from windtunnel.core.tallies import Tallies, Tally, bucket_of
from windtunnel.reports.run import Run
from windtunnel.sim.control import Process
from windtunnel.sim.updates import Updates
from windtunnel.tests.support import both_engines, happened, outcomes, run, steady

from .deploying import MS, Script, at, deploying

pytestmark = pytest.mark.usefixtures("both_engines")
__all__ = ["both_engines"]

MIB = 1 << 20
GOOD = VersionSpec("1")


def deployed(
    document: dict[str, Any], script: Script, *others: VersionSpec, first: VersionSpec = GOOD
) -> tuple[Run, list[Tallies]]:
    with deploying((first, *others), script) as written:
        return run(document), written


def nothing(updates: Updates) -> Process:
    """No deploy at all."""
    yield at(updates, SECOND)


def fleet(initial: int, canaries: int = 0, **proxy: Any) -> dict[str, Any]:
    return {"app": {"initial": initial, "canaries": canaries}, "proxy": proxy}


def states(found: Run, server: int) -> list[str]:
    rows = zip(
        found.metrics.column("server").to_pylist(), found.metrics.column("state").to_pylist(), strict=True
    )
    return [state for number, state in rows if number == server]


def test_a_version_takes_longer_fails_and_holds_memory() -> None:
    app = {"initial": 1, "memory": {"total": "100MiB", "base": "10MiB"}}
    slow = VersionSpec(
        "2", cpu_factor=4.0, error_share=0.25, error_status=503, memory=Memory(base=50 * MIB, leak=1024)
    )
    found, _ = deployed(steady("20/s", "20s", fleet={"app": app}), nothing, first=slow)
    attempts = found.attempts
    times = {
        done - started
        for started, done in zip(
            attempts.column("started_ns").to_pylist(), attempts.column("cpu_done_ns").to_pylist(), strict=True
        )
    }
    assert times == {0, 20 * MS}
    counted = outcomes(found)
    assert 0.15 < counted["app_error"] / sum(counted.values()) < 0.35
    assert set(found.requests.column("status").to_pylist()) == {200, 503}
    memory = found.metrics.column("memory").to_pylist()
    assert max(memory) == 50 * MIB + 1024 * sum(counted.values())


def test_faults_compose_with_the_version() -> None:
    """Slowness multiplies, errors are independent; when the fault is over the version is as before."""
    faults = [
        {"name": "s", "type": "slow", "at": "10s", "for": "10s", "attributes": {"factor": 3}},
        {"name": "e", "type": "error", "at": "10s", "for": "10s", "toxicity": "50%"},
    ]
    document = steady("40/s", "30s", fleet=fleet(1), faults=faults)
    found, _ = deployed(document, nothing, first=VersionSpec("2", cpu_factor=2.0, error_share=0.5))
    attempts = found.attempts.select(["started_ns", "cpu_done_ns", "status"]).to_pylist()
    for low, high, factor, share in ((0, 9, 2, 0.5), (11, 19, 6, 0.75), (22, 30, 2, 0.5)):
        part = [row for row in attempts if low * SECOND <= row["started_ns"] < high * SECOND]
        failed = [row for row in part if row["status"] == 500]
        assert abs(len(failed) / len(part) - share) < 0.12
        assert {row["cpu_done_ns"] - row["started_ns"] for row in part} == {0, 5 * factor * MS}


def test_a_drained_server_is_updated_without_a_lost_request() -> None:
    def script(updates: Updates) -> Process:
        yield at(updates, 2 * SECOND)
        updates.drain(1)
        yield at(updates, 4 * SECOND)
        updates.update(1, 1, 1500 * MS)
        assert not updates.answers(1)
        yield at(updates, 6 * SECOND)
        assert updates.answers(1)
        assert updates.control.instances.by_number[1].state == State.UPDATING
        updates.register(1, "serving")
        updates.register(1, "serving")

    found, _ = deployed(steady("50/s", "12s", fleet=fleet(2)), script, VersionSpec("2", cpu_factor=2.0))
    assert outcomes(found) == {"ok": found.requests.num_rows}
    assert [event["version"] for event in happened(found, "updated")] == ["2"]
    assert happened(found, "updating")[0] == {
        "t": 4 * SECOND,
        "event": "updating",
        "server": 1,
        "version": "2",
        "lost": 0,
    }
    assert [event["t"] for event in happened(found, "registered")] == [6 * SECOND]
    assert states(found, 1)[:7] == [
        "serving",
        "draining",
        "draining",
        "updating",
        "updating",
        "serving",
        "serving",
    ]
    rows = found.attempts.select(["server", "started_ns", "cpu_done_ns"]).to_pylist()
    took = {
        row["cpu_done_ns"] - row["started_ns"]
        for row in rows
        if row["server"] == 1 and row["started_ns"] > 6 * SECOND
    }
    assert took == {10 * MS}
    assert not any(row["server"] == 1 and 3 * SECOND < row["started_ns"] < 6 * SECOND for row in rows)


def test_an_update_at_once_loses_what_is_in_flight_and_what_comes_meanwhile() -> None:
    def script(updates: Updates) -> Process:
        yield at(updates, 2 * SECOND + MS)
        for number in (1, 2):
            updates.update(number, 1, SECOND)
        yield at(updates, 4 * SECOND)
        for number in (1, 2):
            updates.register(number, "serving")

    document = steady("100/s", "8s", fleet=fleet(2))
    document["endpoints"] = [{"path": "/", "cpu": {"constant": "15ms"}}]
    found, _ = deployed(document, script, VersionSpec("2"))
    counted = outcomes(found)
    assert counted["upstream_reset"] == sum(event["lost"] for event in happened(found, "updating")) > 0
    assert counted["connect_failed"] == pytest.approx(100, abs=40)
    assert counted["ok"] == sum(counted.values()) - counted["upstream_reset"] - counted["connect_failed"]
    late = [
        row
        for row in found.requests.select(["time_ns", "outcome"]).to_pylist()
        if row["time_ns"] > 3.1 * SECOND
    ]
    assert {row["outcome"] for row in late} == {"ok"}


@pytest.mark.parametrize("work", ["cpu", "io", "calls"])
def test_what_the_process_before_had_under_way_does_not_touch_the_new_one(work: str) -> None:
    """Ends of its work fall into the time of the process that came at once in its place."""

    def script(updates: Updates) -> Process:
        for turn in range(40):
            yield at(updates, SECOND + 130 * turn * MS)
            updates.update(1, 1, 0)

    endpoint: dict[str, Any] = {"path": "/", "cpu": {"constant": "100ms"}}
    made = {**fleet(1), "dependencies": []}
    made["app"] = {"initial": 1, "workers": 2, "cores": 1 if work == "cpu" else 2, "queue": 0}
    if work == "io":
        endpoint.update(cpu={"constant": "1ms"}, io={"constant": "100ms"})
    elif work == "calls":
        endpoint.update(cpu={"constant": "1ms"}, calls=["db"])
        made["dependencies"] = [{"name": "db", "concurrency": 1, "service": {"constant": "50ms"}}]
    document = {**steady("60/s", "7s", fleet=made), "endpoints": [endpoint]}
    found, _ = deployed(document, script, VersionSpec("2"))
    counted = outcomes(found)
    assert counted["upstream_reset"] >= 40
    assert counted["ok"] >= 30
    spans = sorted(
        (row["started_ns"], row["served_ns"] if row["served_ns"] >= 0 else row["end_ns"])
        for row in found.attempts.select(["started_ns", "served_ns", "end_ns"]).to_pylist()
        if row["started_ns"] >= 0
    )
    for place, (started, _ended) in enumerate(spans):
        assert sum(end > started for _, end in spans[:place]) < 2, "more requests at work than workers"
    least = {"cpu": 100, "io": 101, "calls": 51}[work] * MS
    done = [
        row for row in found.attempts.select(["started_ns", "served_ns"]).to_pylist() if row["served_ns"] >= 0
    ]
    assert all(row["served_ns"] - row["started_ns"] >= least for row in done)


def test_a_version_that_crashes_fails_its_server_and_an_update_repairs_it() -> None:
    def script(updates: Updates) -> Process:
        yield at(updates, SECOND)
        updates.update(1, 1, 0)
        yield at(updates, 2 * SECOND)
        updates.register(1, "serving")
        yield at(updates, 5 * SECOND)
        assert updates.control.instances.by_number[1].state == State.FAILED
        updates.update(1, 0, 0)
        yield at(updates, 6 * SECOND)
        updates.register(1, "serving")

    document = steady("50/s", "20s", fleet=fleet(1))
    found, _ = deployed(document, script, VersionSpec("2", crash_after=2500 * MS))
    assert [event["t"] for event in happened(found, "crashed")] == [3500 * MS], "and not that of version 1"
    assert states(found, 1)[:6] == ["updating", "serving", "serving", "failed", "updating", "serving"]
    late = [
        row
        for row in found.requests.select(["time_ns", "outcome"]).to_pylist()
        if row["time_ns"] > 5.1 * SECOND
    ]
    assert {row["outcome"] for row in late} == {"ok"}


def test_the_newer_update_of_two_counts() -> None:
    def script(updates: Updates) -> Process:
        yield at(updates, SECOND)
        updates.update(1, 1, 2 * SECOND)
        yield at(updates, 2 * SECOND)
        updates.update(1, 0, 3 * SECOND)

    found, _ = deployed(steady("10/s", "8s", fleet=fleet(1)), script, VersionSpec("2"))
    assert [(event["t"], event["version"]) for event in happened(found, "updated")] == [(5 * SECOND, "1")]


def test_a_process_that_came_in_place_of_a_hanging_one_does_not_hang() -> None:
    def script(updates: Updates) -> Process:
        yield at(updates, 2 * SECOND)
        assert not updates.answers(1)
        updates.update(1, 1, 0)
        yield at(updates, 2500 * MS)
        assert updates.answers(1)
        updates.register(1, "serving")

    faults = [
        {"name": "p", "type": "pause", "at": "1s", "for": "3s"},
        {"name": "q", "type": "pause", "at": "3s", "for": "4s"},
    ]
    found, _ = deployed(steady("20/s", "12s", fleet=fleet(1), faults=faults), script, VersionSpec("2"))
    rows = found.attempts.select(["started_ns"]).to_pylist()
    seconds = {row["started_ns"] // SECOND for row in rows}
    assert 2 in seconds, "the new one works at once"
    assert not seconds & {4, 5, 6}, "and the end of the first pause does not end the second"
    assert {8, 9, 10} <= seconds


def test_an_instance_launched_for_a_deploy_boots_its_version_and_waits_to_be_registered() -> None:
    def script(updates: Updates) -> Process:
        yield at(updates, SECOND)
        updates.control.releases["serving"] = 1
        waits, joins = updates.launch("serving", 1, joins=False), updates.launch("serving", 0)
        yield at(updates, 4 * SECOND)
        assert updates.answers(waits.number)
        assert updates.answers(joins.number)
        updates.register(waits.number, "serving")
        updates.terminate(1, "replaced")
        assert updates.control.registry.servers().serving == tuple(sorted((waits.address, joins.address)))

    app = {"initial": 1, "boot_time": {"constant": "1s"}}
    found, _ = deployed(
        steady("20/s", "8s", fleet={"app": app}), script, VersionSpec("2", boot_time=constant(2 * SECOND))
    )
    assert [(event["server"], event["version"]) for event in happened(found, "launched")] == [
        (1, "1"),
        (2, "2"),
        (3, "1"),
    ]
    assert [(event["t"], event["server"]) for event in happened(found, "ready")] == [
        (0, 1),
        (2 * SECOND, 3),
        (4 * SECOND, 2),
    ]
    assert happened(found, "terminated")[0]["reason"] == "replaced"


def test_the_share_of_the_canaries_can_be_set() -> None:
    def script(updates: Updates) -> Process:
        for time, share in ((4, (1, 10)), (8, (0, 1)), (12, (1, 1)), (16, None)):
            yield at(updates, time * SECOND)
            updates.control.registry.set_canary_share(share)

    found, written = deployed(
        steady("50/s", "20s", fleet=fleet(2, 1, canary_every=4)), script, VersionSpec("2")
    )
    rows = found.attempts.select(["routed_ns", "server"]).to_pylist()
    for second, share in ((0, 0.25), (4, 0.1), (8, 0.0), (12, 1.0), (16, 0.25)):
        # The proxy reads it with its table, at the next whole second.
        part = [
            row["server"] == 3
            for row in rows
            if (second + 1) * SECOND < row["routed_ns"] < (second + 4) * SECOND
        ]
        assert abs(sum(part) / len(part) - share) < 0.01
    last = written[-1]
    assert last.canary.answers == sum(row["server"] == 3 for row in rows)
    assert last.serving.answers + last.canary.answers == len(rows)


def test_tallies_count_tries_where_they_end() -> None:
    """Errors of a slow canary, retries, and what a client no longer waited for, each for the role of its server."""
    document = steady("40/s", "10s", fleet=fleet(1, 1, canary_every=2, retries={"attempts": 1}))
    document["traffic"][0]["client"] = {"timeout": "60ms"}
    document["faults"] = [
        {
            "name": "k",
            "type": "slow",
            "at": "5s",
            "target": {"role": "canary", "count": 1},
            "attributes": {"factor": 20},
        }
    ]
    _, written = deployed(document, nothing)
    assert [tallies.time for tallies in written] == [second * SECOND for second in range(1, len(written) + 1)]
    before, after = written[3], written[9]
    assert before.canary.failures == before.serving.failures == 0
    assert before.canary.answers == pytest.approx(before.serving.answers, abs=1)
    window = after.canary.since(written[5].canary)
    assert window.failures == window.answers > 50, "nobody waits 100 ms for an answer"
    gone = [bucket for bucket, count in enumerate(window.latency) if count]
    assert gone == [bucket_of(60 * MS)]
    assert after.serving.since(written[5].serving).failures == 0
    assert sum(after.canary.latency) == after.canary.answers


def test_a_proxy_that_starts_anew_counts_anew() -> None:
    faults = [{"name": "r", "type": "proxy_restart", "at": "3500ms"}]
    document = steady("40/s", "8s", fleet=fleet(1), faults=faults)
    _, written = deployed(document, nothing)
    counts = [tallies.serving.answers for tallies in written]
    assert counts[2] > counts[3] > 0
    assert written[3].serving.since(written[2].serving) == written[3].serving
    assert written[0].canary == Tally()


def test_without_versions_nothing_is_counted_or_read() -> None:
    with deploying((), nothing) as written:
        found = run(steady("20/s", "3s", fleet=fleet(1)))
    assert not written
    assert "version" not in happened(found, "launched")[0]


SCALER = {
    "policy": {"target_tracking": {"metric": "requests", "target": "50/s"}}, "interval": "1s", "cooldown": "0s", "dead_after": "4s",
    "drain_grace": "2s", "drain_timeout": "3s", "reconcile_interval": "2s",
}  # fmt: skip


def scaled() -> dict[str, Any]:
    app = {"initial": 2, "min": 2, "max": 6, "boot_time": {"constant": "1s"}}
    return steady("60/s", "30s", fleet={"app": app}, autoscaler=SCALER)


@pytest.mark.parametrize("told", [True, False])
def test_the_autoscaler_leaves_alone_what_it_is_told_of(told: bool) -> None:
    """A server is out for ten seconds; then two more are launched and the others ended."""

    def script(updates: Updates) -> Process:
        registry, instances = updates.control.registry, updates.control.instances
        yield at(updates, 5 * SECOND)
        if told:
            registry.set_updating([instances.by_number[1].address])
        updates.drain(1)
        yield at(updates, 7 * SECOND)
        updates.update(1, 1, 6 * SECOND)
        yield at(updates, 15 * SECOND)
        if not told:
            return
        updates.register(1, "serving")
        registry.set_updating([])
        yield at(updates, 18 * SECOND)
        fresh = [updates.launch("serving", 1, joins=False) for _ in range(2)]
        registry.set_updating([one.address for one in fresh])
        yield at(updates, 24 * SECOND)
        for old, new in zip((1, 2), fresh, strict=True):
            updates.register(new.number, "serving")
            updates.drain(old)
        registry.set_updating([])
        yield at(updates, 26 * SECOND)
        for old in (1, 2):
            updates.terminate(old, "replaced")

    found, _ = deployed(scaled(), script, VersionSpec("2"))
    decided = [
        event for event in happened(found, "decision") if event.get("actions") and event["t"] < 24 * SECOND
    ]
    if told:
        assert decided == []
        assert len(happened(found, "launched")) == 4
        assert {event["reason"] for event in happened(found, "terminated")} == {"replaced"}
        assert outcomes(found) == {"ok": found.requests.num_rows}
        assert not happened(found, "orphan_found")
    else:
        assert decided[0]["actual"] == 1, "it replaces what is gone without a word"
