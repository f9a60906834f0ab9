"""The map: who sent how much to whom, and how healthy that is, at any time of a run."""

from typing import Any

import pytest
from windtunnel.core.model import SECOND
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.map import BAD, DOWN, GOOD, IDLE, KINDS, WARNING, Edge, Map
from windtunnel.reports.profiler.mapping import Maps
from windtunnel.tests.reports.profiler.catalogue import AT_ONCE, CATALOGUE, calm, scaled, shop, struck
from windtunnel.tests.support import plan, run


def maps(document: dict[str, Any]) -> Maps:
    return Maps(Evidence.of(run(document), plan(document).fleet))


def edge(found: Map, source: str, target: str) -> Edge:
    return next(one for one in found.edges if (one.source, one.target) == (source, target))


@pytest.fixture(scope="module")
def killed() -> Maps:
    """Server 1 dies at 10 s and is ended, and replaced, at 15 s."""
    return maps(scaled("kill", target={"address": "http://10.0.0.1"}, **AT_ONCE))


def test_rates_add_up_along_the_way(killed: Maps) -> None:
    found = killed.at(2 * SECOND, 8 * SECOND)
    clients, proxy = found.node("clients"), found.node("proxy")
    assert clients
    assert proxy
    assert clients.rate == pytest.approx(400, rel=0.1)
    servers = [node for node in found.nodes if node.kind == "app"]
    assert [node.name for node in servers] == ["server 1", "server 2", "server 3"]
    assert sum(node.rate for node in servers) == pytest.approx(proxy.rate, rel=0.02)
    assert sum(edge(found, "proxy", node.id).rate or 0 for node in servers) == pytest.approx(proxy.rate)
    database = found.node("dependency-db")
    assert database
    assert database.rate == pytest.approx(100, rel=0.2), "one request in four calls it"
    calls = [edge(found, node.id, "dependency-db").rate or 0 for node in servers]
    assert sum(calls) == pytest.approx(database.rate)
    assert {node.health for node in found.nodes} <= {GOOD, IDLE}
    assert {node.kind for node in found.nodes} == set(KINDS)
    assert clients.p95_ns
    assert proxy.p95_ns
    assert clients.p95_ns > proxy.p95_ns


def test_a_dead_server_is_down_and_its_edge_bad(killed: Maps) -> None:
    found = killed.at(11 * SECOND, 12 * SECOND)
    dead, alive = found.node("server-1"), found.node("server-2")
    assert dead
    assert alive
    assert (dead.state, dead.health) == ("failed", DOWN)
    assert (alive.state, alive.health, alive.errors) == ("serving", GOOD, 0.0)
    broken = edge(found, "proxy", "server-1")
    assert (broken.errors, broken.health) == (1.0, BAD)
    clients = found.node("clients")
    assert clients
    assert clients.health == BAD
    assert clients.errors == pytest.approx(1 / 3, abs=0.1)
    later = killed.at(25 * SECOND, 26 * SECOND)
    assert later.node("server-1") is None
    assert later.node("server-4") is not None
    assert {node.health for node in later.nodes} <= {GOOD, IDLE}


def test_the_maps_of_all_seconds_hold_every_request(killed: Maps) -> None:
    whole = killed.at(0, 31 * SECOND)
    parts = list(killed.seconds())
    clients = [found.node("clients") for found in parts]
    total = whole.node("clients")
    assert total
    assert sum(node.rate for node in clients if node) == pytest.approx(total.rate * 31, abs=1)
    assert [(found.start, found.end) for found in parts[:2]] == [(0, SECOND), (SECOND, 2 * SECOND)]


def test_health_is_against_the_objectives() -> None:
    document = shop("200/s", "10s")
    strict = maps({**document, "slo": [{"name": "fast", "indicator": "latency_p95", "below": "1ms"}]})
    clients = strict.at(0, 10 * SECOND).node("clients")
    assert clients
    assert clients.health == BAD
    assert "fast allows 1 ms" in clients.why
    generous = {"name": "mostly", "indicator": "availability", "above": "50%"}
    broken = struck(document, "error", target={"role": "app", "count": "all"}, toxicity="30%", at="1s")
    forgiven = maps({**broken, "slo": [generous]}).at(2 * SECOND, 8 * SECOND).node("clients")
    assert forgiven
    assert forgiven.health == GOOD
    near = maps({**broken, "slo": [{**generous, "above": "68%"}]}).at(2 * SECOND, 8 * SECOND).node("clients")
    assert near
    assert near.health == WARNING
    plain = maps(broken).at(2 * SECOND, 8 * SECOND)
    assert {node.health for node in plain.nodes if node.kind in ("clients", "proxy", "app")} == {BAD}
    assert all(node.faults == ("struck",) for node in plain.nodes if node.kind == "app")


def test_the_control_plane_is_on_it() -> None:
    found = maps(CATALOGUE["registry_down"]).at(19 * SECOND, 22 * SECOND)
    registry, scaler = found.node("registry"), found.node("autoscaler")
    assert registry
    assert scaler
    assert (registry.health, registry.faults) == (DOWN, ("struck",))
    assert (scaler.errors, scaler.health) == (1.0, BAD)
    assert edge(found, "autoscaler", "registry").health == DOWN
    refused = maps(CATALOGUE["capacity_error"]).at(10 * SECOND, 20 * SECOND)
    cloud = refused.node("cloud")
    assert cloud
    assert (cloud.health, cloud.why) == (BAD, "InsufficientInstanceCapacity")
    down = maps(calm("dependency_down")).at(12 * SECOND, 14 * SECOND).node("dependency-db")
    assert down
    assert down.health == DOWN
    proxy = maps(CATALOGUE["proxy_restart"]).at(10 * SECOND, 11 * SECOND).node("proxy")
    assert proxy
    assert (proxy.state, proxy.health) == ("down", DOWN)
