"""Rehearsals with versions, in which a script does what a deploy's driver does."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from windtunnel import Scenario, api
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.lifecycle import READY, TRANSITIONS, State
from windtunnel.core.model import SECOND, VersionSpec
from windtunnel.core.order import Kind
from windtunnel.core.ports import CloudError, RegistryError
from windtunnel.core.tallies import Tallies
from windtunnel.scenarios.build import compile_plan as compile_scenario
from windtunnel.scenarios.plan import Plan
from windtunnel.sim.control import LATER, ROLE_STATES, ControlPlane, Process
from windtunnel.sim.updates import Updates

MS = 1_000_000

Script = Callable[[Updates], Process]


@contextmanager
def deploying(versions: tuple[VersionSpec, ...], script: Script) -> Iterator[list[Tallies]]:
    """In every rehearsal inside the fleet has *versions* and *script* runs; what the proxies wrote of tallies."""
    written: list[Tallies] = []
    begun, wrote = ControlPlane.begin, RedisRegistry.write_tallies

    def compile_plan(made: Scenario) -> Plan:
        plan = compile_scenario(made)
        return replace(plan, fleet=replace(plan.fleet, versions=versions, deploys=()))

    def begin(control: ControlPlane) -> None:
        begun(control)
        control.timeline.env.process(script(Updates(control)))

    def write(registry: RedisRegistry, tallies: Tallies) -> None:
        written.append(tallies)
        wrote(registry, tallies)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "compile_plan", compile_plan)
        patch.setattr(ControlPlane, "begin", begin)
        patch.setattr(RedisRegistry, "write_tallies", write)
        yield written


def at(updates: Updates, time: int, turn: int = 0) -> Any:
    """Wait until *time* (ns), after what else becomes ready then."""
    return updates.control.timeline.until(time, Kind.READY, 5 * LATER + turn)


Step = tuple[int, str, int, int, int]
"""When (ms), what, at which of the instances, with which version, how long (ms)."""

SHARES = ((0, 1), (1, 10), (1, 3), (1, 1), None)
ROLES = ("serving", "canary", "standby")


def carried_out(steps: Sequence[Step]) -> Script:
    """A script of steps, as far as they are possible at their time."""

    def script(updates: Updates) -> Process:
        for turn, (time, what, which, version, length) in enumerate(sorted(steps)):
            yield at(updates, time * MS, turn)
            try:
                updates.control.troubles.reach_registry("deploy")
                _take(updates, what, which, version, length * MS)
            except (RegistryError, CloudError):
                continue

    return script


def _take(updates: Updates, what: str, which: int, version: int, length: int) -> None:
    control = updates.control
    present = control.instances.present()
    if what == "share":
        control.registry.set_canary_share(SHARES[which % len(SHARES)])
    elif what == "release":
        control.releases[ROLES[which % len(ROLES)]] = version
    elif what == "launch":
        updates.launch(ROLES[which % len(ROLES)], version, length < SECOND // 4)
    elif what == "updating":
        control.registry.set_updating([one.address for one in present[: which % 4]])
    elif present:
        instance = present[which % len(present)]
        role = ROLES[version % len(ROLES)]
        if what == "drain" and instance.is_in(*READY):
            updates.drain(instance.number)
        elif what == "update" and instance.state in (*READY, State.DRAINING, State.UPDATING, State.FAILED):
            updates.update(instance.number, version, length)
        elif what == "register" and instance.up >= 0:
            if ROLE_STATES[role] in {*TRANSITIONS[instance.state], instance.state}:
                updates.register(instance.number, role)
        elif what == "terminate":
            updates.terminate(instance.number, "replaced")
