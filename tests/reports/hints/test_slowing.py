"""Who is getting slower: steps, drifts and stretches at one server, at all of them, at a dependency; and what is no slowness."""

import pytest
from windtunnel.core.model import SECOND
from windtunnel.tests.reports.hints.fleets import Document, fault, fleet, hints_of, kinds, parts, the


def slow(factor: float, at: str, length: str = "", server: int = 4, name: str = "slow") -> Document:
    return fault("slow", at, length, server, name, attributes={"factor": factor})


def test_a_step_is_found_where_it_is_and_as_large_as_it_is() -> None:
    hint = the("server_slows", hints_of(fleet(faults=[slow(1.6, "25s")])))
    assert hint.subject == "server 4"
    assert abs(hint.since - 25 * SECOND) <= 2 * SECOND
    assert hint.until >= 60 * SECOND
    assert hint.value("factor") == pytest.approx(1.6, rel=0.2)
    assert hint.value("factor of the peers") == pytest.approx(1.0, rel=0.1)
    assert hint.value("service before") == pytest.approx(0.02 * SECOND * 0.693, rel=0.15)
    assert hint.value("chance") < 1e-4


def test_a_stretch_that_is_over_again_is_found_too() -> None:
    hint = the("server_slows", hints_of(fleet(faults=[slow(2, "20s", "15s", 2)])))
    assert hint.subject == "server 2"
    assert abs(hint.since - 20 * SECOND) <= 2 * SECOND
    assert abs(hint.until - 35 * SECOND) <= 2 * SECOND
    assert hint.value("factor") == pytest.approx(2, rel=0.2)


def test_a_drift_is_told_from_a_step() -> None:
    """Six times a seventh slower, each a tenth of the run after the one before."""
    steps = [slow(1.15, f"{12 + 6 * n}s", name=f"slow-{n}") for n in range(6)]
    hint = the("server_slows", hints_of(fleet("300/s", faults=steps)))
    assert "is getting slower since" in hint.text
    assert "became slower" in the("server_slows", hints_of(fleet("300/s", faults=[slow(1.8, "30s")]))).text


def test_a_server_that_was_slower_all_along_is_found_by_its_peers() -> None:
    hint = the("server_slows", hints_of(fleet(faults=[slow(1.7, "0s")])))
    assert "all along" in hint.text
    assert hint.value("factor") == pytest.approx(1.7, rel=0.2)


def test_of_many_servers_one_hint_is_given() -> None:
    document = fleet(
        "400/s",
        fleet=parts({"initial": 5}),
        faults=[slow(2, "20s", "20s", one, f"slow-{one}") for one in (1, 2, 3)],
    )
    found = hints_of(document)
    hint = the("server_slows", found)
    assert hint.part == "fleet"
    assert hint.value("servers") == 3


def test_all_servers_at_once_are_not_called_one() -> None:
    found = hints_of(
        fleet(
            faults=[fault("slow", "25s", target={"role": "app", "count": "all"}, attributes={"factor": 1.6})]
        )
    )
    hint = the("all_slow", found)
    assert "server_slows" not in kinds(found)
    assert hint.subject == "fleet"
    assert abs(hint.since - 25 * SECOND) <= 2 * SECOND
    assert hint.value("factor") == pytest.approx(1.6, rel=0.1)


DATABASE = {"dependencies": [{"name": "db", "concurrency": 60, "service": {"exponential": {"mean": "15ms"}}}]}


def test_a_slow_dependency_is_named_and_not_a_server() -> None:
    document = fleet(
        fleet=parts({"workers": 16}, more=DATABASE),
        endpoints=[{"path": "/", "cpu": {"exponential": {"mean": "5ms"}}, "calls": ["db"]}],
        faults=[fault("dependency_slow", "20s", "20s", attributes={"factor": 3})],
    )
    found = hints_of(document)
    hint = the("all_slow", found)
    assert "server_slows" not in kinds(found)
    assert hint.subject == "dependency db"
    assert abs(hint.since - 20 * SECOND) <= 2 * SECOND
    assert abs(hint.until - 40 * SECOND) <= 2 * SECOND
    assert hint.value("factor") == pytest.approx(3, rel=0.2)


def test_more_load_is_no_slowness() -> None:
    """With twice as many workers as cores a request takes its worker the longer the more there are: for all servers, and without more CPU time."""
    stages = [{"for": "30s", "rate": "100/s"}, {"for": "30s", "rate": "330/s"}]
    document = fleet(fleet=parts({"workers": 8, "cores": 2}), traffic=[{"name": "users", "stages": stages}])
    assert not kinds(hints_of(document)) & {"server_slows", "all_slow"}


def test_more_load_on_one_server_is_no_slowness() -> None:
    """Where two of three die, the third has their load, and its workers wait for its cores."""
    document = fleet(
        "120/s",
        fleet=parts({"initial": 3, "workers": 8, "cores": 2}, {"routing": "weighted"}),
        faults=[fault("zombie", "30s", "25s", 2)],
    )
    document["fleet"]["app"]["weights"] = [4, 3, 1]
    assert "server_slows" not in kinds(hints_of(document))


def test_peers_of_a_server_that_recovers_are_not_slow() -> None:
    found = hints_of(fleet(faults=[slow(0.4, "30s", server=1)]))
    assert "server_slows" not in kinds(found)


def test_another_mix_of_endpoints_is_no_slowness() -> None:
    stages = [
        [{"for": "30s", "rate": "180/s"}, {"for": "30s", "rate": "40/s"}],
        [{"for": "30s", "rate": "10/s"}, {"for": "30s", "rate": "60/s"}],
    ]
    document = fleet(
        endpoints=[
            {"path": "/", "cpu": {"exponential": {"mean": "10ms"}}},
            {"path": "/slow", "cpu": {"exponential": {"mean": "60ms"}}},
        ],
        traffic=[
            {"name": "users", "stages": stages[0], "endpoints": {"/": 1}},
            {"name": "others", "stages": stages[1], "endpoints": {"/slow": 1}},
        ],
    )
    assert not kinds(hints_of(document)) & {"server_slows", "all_slow"}


def contended(rate: str, cpu: Document, *faults: Document) -> Document:
    """Eight workers on two cores, and nobody gives up."""
    patient = [{"name": "users", "stages": [{"for": "60s", "rate": rate}], "client": {"timeout": "20s"}}]
    servers = parts({"workers": 8, "cores": 2, "queue": 256}, {"upstream_timeout": "20s"})
    return fleet(
        rate, fleet=servers, endpoints=[{"path": "/", "cpu": cpu}], traffic=patient, faults=list(faults)
    )


@pytest.mark.parametrize("seed", [0, 5])
def test_one_large_request_is_no_slowness(seed: int) -> None:
    """Under a heavy tail (Pareto 1.6) a request of some seconds holds one of two cores, and all others of its server wait."""
    document = contended("340/s", {"pareto": {"mean": "20ms", "shape": 1.6}})
    assert "server_slows" not in kinds(hints_of(document, seed))


@pytest.mark.parametrize("factor", [1.5, 2, 3])
def test_a_slower_server_is_found_on_contended_cores_too(factor: float) -> None:
    """With twice as long it is full, and no request finds a core free."""
    found = hints_of(contended("220/s", {"exponential": {"mean": "20ms"}}, slow(factor, "25s")))
    assert the("server_slows", found).subject == "server 4"
