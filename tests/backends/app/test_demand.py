"""What a live server executes is what the plan drew."""

import pytest
from windtunnel.backends.app import dependency as live
from windtunnel.backends.app.dependency import Call
from windtunnel.backends.app.job import Demands, read_try
from windtunnel.backends.live.headers import PlannedRequest, read_request
from windtunnel.core import draws
from windtunnel.core.demand import body_size, cpu_demand
from windtunnel.core.model import EndpointSpec
from windtunnel.sim.dependency import Dependency
from windtunnel.sim.entities import Attempt, Job, Request

from ...support import plan
from .running import fleet_of

DOCUMENT = {
    "duration": "20s",
    "fleet": {
        "dependencies": [
            {"name": "db", "concurrency": 3, "service": {"lognormal": {"mean": "4ms", "cv": 1.0}},
             "cache": {"ttl": "5s", "hit_share": "70%", "keys": 9}},
        ]
    },
    "endpoints": [
        {"path": "/", "cpu": {"exponential": {"mean": "8ms"}}, "io": {"uniform": {"min": "1ms", "max": "9ms"}}, "calls": ["db", "db"]},
        {"path": "/users/:id", "weight": 2, "cpu": {"pareto": {"mean": "3ms", "shape": 2.5}}},
        {"path": "/up", "cpu": {"lognormal": {"mean": "9ms", "cv": 2.0}}, "status": 404},
    ],
    "traffic": [
        {"name": "users", "stages": [{"for": "20s", "rate": "30/s"}], "body": {"uniform": {"min": "1KiB", "max": "10KiB"}}},
        {"name": "others", "stages": [{"for": "20s", "rate": "30/s"}]},
    ],
}  # fmt: skip


def test_every_row_of_the_plan() -> None:
    planned = plan(DOCUMENT)
    demands = Demands(planned.fleet, 1)
    rows = 0
    for block in planned.blocks():
        columns = zip(*(block[name].tolist() for name in ("source", "index", "endpoint", "cpu_ns", "io_ns")), strict=True)  # fmt: skip
        for source, index, endpoint, cpu, io in columns:
            header = str(PlannedRequest(source, index, 1))
            path = planned.fleet.endpoints[endpoint].path.replace(":id", "17")
            job = demands.job(path + "?a=b", demands.planned(header), 1, 0)
            assert (job.cpu, job.io) == (cpu, io)
            assert job.endpoint is planned.fleet.endpoints[endpoint]
            spec = planned.fleet.sources[source]
            expected = (
                body_size(spec.body.kind, spec.body.a, spec.body.b, spec.stream, index) if spec.body else 0
            )
            assert job.body == expected
            rows += 1
    assert rows > 1000


def test_a_second_attempt_is_drawn_anew() -> None:
    planned = plan(DOCUMENT)
    demands = Demands(planned.fleet, 1)
    first, second = (demands.job("/", PlannedRequest(0, 5, attempt), 1, 0).cpu for attempt in (1, 2))
    cpu = planned.fleet.endpoints[0].cpu
    assert second == cpu_demand(cpu.kind, cpu.a, cpu.b, planned.fleet.sources[0].stream, 5, 2) != first


@pytest.mark.parametrize(
    "text", ["", "x", "0-1", "9-1-1", "0-1-0", "0-1-5000", f"0-{1 << 41}-1", "0--1-1", "0-1-1-1"]
)
def test_whatever_names_no_planned_request_is_foreign(text: str) -> None:
    assert Demands(plan(DOCUMENT).fleet, 1).planned(text) is None


def test_foreign_requests_count_under_a_stream_of_the_servers_own() -> None:
    fleet = plan(DOCUMENT, seed=5).fleet
    demands = Demands(fleet, 3)
    cpu = fleet.endpoints[0].cpu
    for index in range(3):
        job = demands.job("/", None, 1, 77)
        assert job.cpu == cpu_demand(cpu.kind, cpu.a, cpu.b, draws.key(5, "foreign-3"), index, 1)
        assert (job.name, job.body) == ("", 77)


def test_an_informational_status_cannot_be_flown() -> None:
    with pytest.raises(ValueError, match=r"expected a final status .* got 101"):
        Demands(fleet_of({"status": 101}), 1)


@pytest.mark.parametrize(
    ("text", "number"), [("2", 2), ("15", 15), ("16", 1), ("0", 1), ("", 1), ("-1", 1), ("x", 1)]
)
def test_tries(text: str, number: int) -> None:
    assert read_try(text) == number


def test_calls_are_drawn_as_in_the_rehearsal() -> None:
    fleet = plan(DOCUMENT).fleet
    spec = fleet.dependencies[0]
    reference = Dependency(0, spec, None)  # type: ignore[arg-type]
    hits = 0
    ours = live.Dependency(spec, _Still(), None)  # type: ignore[arg-type]
    for index in range(300):
        request = Request(0, fleet.sources[0], index, 0, 0, 0, 0)
        attempt = Attempt(request, 1 + index % 2, 0)
        attempt.tries = 1 + index % 3
        job = Job(attempt, EndpointSpec("/", fleet.endpoints[0].cpu), 1, 0, 0)
        job.call = index % 2
        named = read_request(str(PlannedRequest(0, index, attempt.number)))
        assert named is not None
        call = Call(fleet.sources[0].stream, named.index, named.attempt, attempt.tries, job.call)
        assert call.draw(0) == reference._draw(job, 0)
        assert ours._entry(call) == reference._entry(job)
        hits += ours._entry(call) >= 0
    assert 150 < hits < 270


class _Still:
    def now(self) -> int:
        return 0
