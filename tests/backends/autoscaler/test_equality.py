"""The same observations give the same decisions, whether the rehearsal's autoscaler makes them or the flight's."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.backends.autoscaler.main import Role
from windtunnel.backends.autoscaler.pace import SETTLE
from windtunnel.backends.live.settings import AutoscalerSettings
from windtunnel.core.alerts import AlertSpec, AtMaximum, OrphanFound, ServerCount, ServerMetric
from windtunnel.core.lifecycle import State
from windtunnel.core.model import SECOND, AppSpec, AutoscalerSpec, FleetSpec, ProxySpec
from windtunnel.core.policies import Scheduled, Step, TargetTracking, TargetTrackingAws, Threshold
from windtunnel.core.ports import CloudError, CloudInstance, RegistryError, Sample, Servers
from windtunnel.core.records import field, moved
from windtunnel.core.troubles import Troubles
from windtunnel.sim.instances import Instance
from windtunnel.sim.scaling import Scaling
from windtunnel.sim.timeline import Timeline

INTERVAL = 2 * SECOND
"""At this interval the flight tries a lost registry at every turn, as the rehearsal does."""
START = 7_300_000_000
POOL = 6
ALERTS = (
    AlertSpec("overload", ServerMetric("requests", 120.0), "", INTERVAL, INTERVAL),
    AlertSpec("mean", ServerMetric("requests", 60.0, above=False, servers="mean"), ""),
    AlertSpec("standby", ServerCount("standby", 1), "", 0, 2 * INTERVAL),
    AlertSpec("full", AtMaximum(), ""),
    AlertSpec("orphan", OrphanFound(), ""),
)

TIMED = Scheduled((Step(-SECOND, size=2), Step(5 * SECOND, minimum=3), Step(11 * SECOND, maximum=1)))

Said = tuple[int, str, dict[str, Any]]
Kept = list[tuple[Any, list[Any]]]
"""What is recorded of each turn: the decision, the observations."""


def instance(number: int, launched: int, role: str = "serving") -> CloudInstance:
    return CloudInstance(number, f"i-{number}", f"http://10.0.0.{number}", role, "running", launched)


SERVERS = st.fixed_dictionaries(
    {
        "list": st.sampled_from(["", "serving", "serving", "serving", "standby", "canary"]),
        "in_cloud": st.booleans(),
        "requests": st.one_of(st.none(), st.integers(0, 200)),
        "age": st.integers(0, 9),
        "in_flight": st.integers(0, 2),
        "state": st.sampled_from(["serving", "serving", "draining"]),
        "updating": st.sampled_from([False, False, False, True]),
    }
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "servers": st.lists(SERVERS, min_size=POOL, max_size=POOL),
            "trouble": st.sampled_from([*[""] * 8, "registry", "launch", "terminate", "list"]),
        }
    ),
    min_size=1,
    max_size=16,
)
SPECS = st.builds(
    AutoscalerSpec,
    policy=st.sampled_from(
        [
            Threshold(requests_high=120, requests_low=60),
            TargetTracking(target=50.0, tolerance=0.2),
            # What these do depends on how late it is: by the scenario's time, not by the flight's clock.
            TIMED,
            TargetTrackingAws(target=50.0, period=3 * INTERVAL, out_datapoints=1, in_datapoints=2),
        ]
    ),
    interval=st.just(INTERVAL),
    delay=st.sampled_from([0, SETTLE]),
    minimum=st.integers(0, 2),
    maximum=st.sampled_from([-1, 3, 5]),
    cooldown=st.sampled_from([0, INTERVAL, 3 * INTERVAL]),
    dead_after=st.sampled_from([-1, 2 * INTERVAL, 9 * SECOND]),
    boot_timeout=st.sampled_from([2 * INTERVAL, 100 * SECOND]),
    drain_grace=st.sampled_from([0, INTERVAL]),
    drain_timeout=st.just(4 * INTERVAL),
    reconcile_interval=st.sampled_from([INTERVAL, 5 * INTERVAL]),
)


class Recorded:
    """Registry and cloud that show what was recorded for each turn, by the clock of a world that began at *zero*."""

    def __init__(self, turns: list[dict[str, Any]], clock: Callable[[], int], zero: int) -> None:
        self._turns = turns
        self._clock = clock
        self._zero = zero
        self._numbers = POOL
        self._state: dict[str, int | str] = {}
        self._launched: set[int] = set()

    def _turn(self) -> dict[str, Any]:
        turn = (self._clock() - self._zero) // INTERVAL
        return self._turns[min(turn, len(self._turns)) - 1]

    def _trouble(self, kind: str, error: Exception) -> None:
        if self._turn()["trouble"] == kind:
            raise error

    def servers(self) -> Servers:
        self._trouble("registry", RegistryError("TimeoutError: no answer"))
        lists: dict[str, list[str]] = {"serving": [], "canary": [], "standby": [], "": []}
        for number, one in enumerate(self._turn()["servers"], 1):
            lists[one["list"]].append(f"http://10.0.0.{number}")
        return Servers(tuple(lists["serving"]), tuple(lists["canary"]), tuple(lists["standby"]))

    def updating(self) -> tuple[str, ...]:
        shown = enumerate(self._turn()["servers"], 1)
        return tuple(f"http://10.0.0.{number}" for number, one in shown if one["updating"])

    def read_samples(self, addresses: list[str]) -> dict[str, Sample]:
        nominal = (self._clock() - self._zero) // INTERVAL * INTERVAL + self._zero
        return {
            address: Sample(
                address, nominal - one["age"] * SECOND, one["requests"], 0.5, 0.5, one["in_flight"], "1", one["state"]
            )
            for number, one in enumerate(self._turn()["servers"], 1)
            if (address := f"http://10.0.0.{number}") in addresses and one["requests"] is not None
        }  # fmt: skip

    def list(self) -> tuple[CloudInstance, ...]:
        self._trouble("list", CloudError("RequestLimitExceeded"))
        shown = [n for n, one in enumerate(self._turn()["servers"], 1) if one["in_cloud"]]
        return tuple(instance(number, self._zero) for number in sorted({*shown, *self._launched}))

    def launch(self, number: int, role: str, token: str) -> CloudInstance:
        self._trouble("launch", CloudError("InsufficientInstanceCapacity"))
        self._launched.add(number)
        return instance(number, self._clock(), role)

    def terminate(self, provider_id: str) -> None:
        self._trouble("terminate", CloudError("Unavailable"))
        self._launched.discard(int(provider_id.removeprefix("i-")))

    def next_number(self, above: int = 0) -> int:
        self._numbers += 1
        return self._numbers

    def acquire_lease(self, owner: str, ttl: int) -> int:
        return 1

    def save_state(self, name: str, state: Mapping[str, int | str], token: int) -> bool:
        self._state = dict(state)
        return True

    def load_state(self, name: str) -> dict[str, int | str]:
        return self._state

    def instances(self) -> tuple[str, ...]:
        return ()

    def ignore(self, *arguments: Any) -> None:
        """What is written shows in nothing that was recorded."""

    register = deregister = forget = add_instance = remove_instance = ignore


class Everybody(dict[int, Instance]):
    """Whoever the rehearsal asks for is there."""

    def __missing__(self, number: int) -> Instance:
        self[number] = Instance(instance(number, 0), State.SERVING, 0)
        return self[number]


def rehearsed(spec: AutoscalerSpec, turns: list[dict[str, Any]]) -> tuple[list[Said], Kept]:
    """What the rehearsal's autoscaler says, with the turn, and what is kept of each turn."""
    timeline = Timeline()
    said: list[Said] = []
    kept: Kept = []
    ports = Recorded(turns, timeline.now, 0)
    control: Any = SimpleNamespace(
        timeline=timeline, troubles=Troubles(), registry=ports, cloud=ports, launches="test",
        fleet=SimpleNamespace(alerts=ALERTS, seed=1),
        instances=SimpleNamespace(by_number=Everybody()),
        emit=lambda name, fields: said.append((timeline.now() // INTERVAL, name, dict(fields))),
        granted=lambda launched: launched, boot=ports.ignore, joined=ports.ignore,
        terminate=lambda number, provider_id, reason: ports.terminate(provider_id),
        sink=SimpleNamespace(decided=lambda row, seen: kept.append((row, seen))),
    )  # fmt: skip
    timeline.env.process(Scaling(spec, control).process())
    timeline.env.run(until=len(turns) * INTERVAL + spec.delay + 1)
    return said, kept


class HandLink:
    """Stands for a role's link: a clock that waiting moves, a little too far, and an end after so many turns."""

    def __init__(self, end: int, late: list[int]) -> None:
        self.said: list[Said] = []
        self.kept: Kept = []
        self.ticks = 0
        self.clock = self.stopping = self
        self.tracing = None
        self._end = end
        self._late = late
        self._now = START - SECOND

    def now(self) -> int:
        return self._now

    def is_set(self) -> bool:
        return self._now >= self._end

    def wait(self, seconds: float) -> bool:
        self._now += round(seconds * 1e9) + self._late[self.ticks % len(self._late)]
        return self.is_set()

    def emit(self, name: str, fields: Mapping[str, Any], time: int | None = None) -> None:
        # In the rehearsal these two are the cloud's word, not the driver's.
        if name in ("launched", "terminated"):
            return
        self.said.append(((self._now - START) // INTERVAL, name, dict(fields)))

    def status(self, name: str, fields: Mapping[str, Any]) -> None:
        if name == "decided":
            row, seen = fields["decision"], fields["observations"]
            self.kept.append((_shifted("decisions", row), [_shifted("observations", one) for one in seen]))
            return
        assert set(fields) == {"desired", "actual", "reason"}
        self.ticks += 1

    def log(self, level: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        raise AssertionError(message)


def _shifted(table: str, row: Any) -> Any:
    return moved(table, row, lambda time: time - START)


def flown(spec: AutoscalerSpec, turns: list[dict[str, Any]], late: list[int]) -> tuple[list[Said], Kept]:
    """What the flight's autoscaler says, with the turn, and what is kept of each turn, in the rehearsal's time."""
    link: Any = HandLink(START + len(turns) * INTERVAL + INTERVAL // 2, late)
    serve(spec, Recorded(turns, link.now, START), link)
    assert link.ticks == len(turns)
    return list(link.said), link.kept


def serve(spec: AutoscalerSpec, ports: Any, link: Any) -> None:
    """A process of the flight's autoscaler, from its start to its end."""
    fleet = FleetSpec("test", 1, 0, 0, AppSpec(), ProxySpec(), autoscaler=spec, alerts=ALERTS)
    Role(
        AutoscalerSettings(origin=0, fleet=fleet, redis_url="", start=START), spec, ports, ports, link
    ).serve()


@settings(max_examples=100, deadline=None)
@given(SPECS, TURNS, st.lists(st.integers(0, 400_000_000), min_size=1, max_size=5))
def test_rehearsal_and_flight_decide_alike(
    spec: AutoscalerSpec, turns: list[dict[str, Any]], late: list[int]
) -> None:
    assert flown(spec, turns, late) == rehearsed(spec, turns)


def test_the_recording_makes_them_say_something() -> None:
    """So that the law above compares more than silence."""
    spec = AutoscalerSpec(Threshold(requests_high=120, requests_low=60), INTERVAL, 1, 3)
    busy = {
        "list": "serving",
        "in_cloud": True,
        "updating": False,
        "requests": 150,
        "age": 0,
        "in_flight": 0,
        "state": "serving",
    }
    away = {**busy, "list": "", "in_cloud": False, "requests": None}
    crowd = {"servers": [busy, busy, *[away] * 4], "trouble": ""}
    quiet = {"servers": [{**busy, "requests": 1}] * 3 + [away] * 3, "trouble": ""}
    said, kept = flown(spec, [crowd, {**crowd, "trouble": "registry"}, quiet, quiet], [0])
    assert (said, kept) == rehearsed(spec, [crowd, {**crowd, "trouble": "registry"}, quiet, quiet])
    assert [len(seen) for _, seen in kept] == [2, 0, 4, 3]
    assert [(turn, name) for turn, name, _ in said if name == "decision"][:2] == [
        (1, "decision"),
        (2, "decision"),
    ]
    # Turn 2 saw nothing, and at turn 3 nobody is overloaded; the third server came from nowhere.
    changes = [(turn, name, fields["name"]) for turn, name, fields in said if name.startswith("alert")]
    assert changes == [
        (1, "alert", "standby"), (3, "alert", "mean"), (3, "alert", "full"), (3, "alert", "orphan"), (4, "alert_over", "orphan"),
    ]  # fmt: skip
    assert {"draining", "decision"} <= {name for _, name, _ in said}


def test_a_schedule_goes_by_the_scenarios_time_also_when_the_autoscaler_is_another_process() -> None:
    spec = AutoscalerSpec(TIMED, INTERVAL, 0, 5, cooldown=0)
    nobody = {
        "list": "",
        "in_cloud": False,
        "updating": False,
        "requests": None,
        "age": 0,
        "in_flight": 0,
        "state": "serving",
    }
    turns = [{"servers": [nobody] * POOL, "trouble": ""} for _ in range(8)]
    _, kept = rehearsed(spec, turns)
    died = START + 3 * INTERVAL + SECOND
    first: Any = HandLink(died, [0])
    ports = Recorded(turns, first.now, START)
    serve(spec, ports, first)
    second: Any = HandLink(START + 8 * INTERVAL + SECOND, [0])
    second._now, ports._clock = died, second.now
    serve(spec, ports, second)
    proposals = [field("decisions", row, "proposal") for row, _ in (*first.kept, *second.kept)]
    assert proposals == [field("decisions", row, "proposal") for row, _ in kept]
    assert proposals == [2, 2, 3, 3, 3, 1, 1, 1]
