"""What kept a fleet from growing when it was to grow, and from when on the failures are owed to that. Times are ns.

Servers that were asked for one boot ago would serve now; from then on their absence is the hindrance's, before it would have been there without it too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.model import NONE, SECOND
from ..wording import duration, moment
from .absences import FOREVER, latest, misleads
from .case import Case
from .origins import SCALING, Origin
from .suspects import Suspect
from .views import Turn, turns, wrong_views

WANTS = 0.6
"""From this utilisation on an autoscaler that can decide is taken to want more servers, if no turn of the run shows when it does."""

REFUSERS = ("capacity_error", "api_throttling")
STOPPERS = (
    "autoscaler_crash", "autoscaler_pause", "registry_down", "registry_restart", "disk_full", "partition", "registry_slow", "api_throttling", "capacity_error",
    "second_autoscaler", "clock_skew", "clock_jump",
)  # fmt: skip
BLINDERS = ("monitor_silent", "monitor_stuck", "partition", "clock_skew", "clock_jump", "registry_flush", "registry_restart", "registry_slow", "stale_registry", "stale_listing")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Of *root*: without it there would have been more servers from *relief* on; owed to it until *until*."""

    root: Origin
    relief: int
    until: int
    told: str


def hindered(case: Case) -> list[Hindrance]:
    """All hindrances by faults, each from its first moment on until the fleet has caught up."""
    first: dict[Origin, tuple[int, str]] = {}
    for root, relief, told in _moments(case):
        if root not in first or relief < first[root][0]:
            first[root] = (relief, told)
    return [Hindrance(root, relief, _caught_up(case, relief), told) for root, (relief, told) in first.items()]


def _caught_up(case: Case, relief: int) -> int:
    """The end of the stretch, from *relief* on, in which more was asked than the servers that were there could do: 5 s of rest end it."""
    load = case.capacity.asked / np.maximum(case.capacity.present, 1)
    calm = 0
    peaked = False
    for second in range(min(relief // SECOND, len(load) - 1), len(load)):
        peaked = peaked or load[second] >= 0.9
        calm = calm + 1 if peaked and load[second] < 0.8 else 0
        if calm >= 5:
            return second * SECOND
    return FOREVER


def _moments(case: Case) -> Iterator[tuple[Origin, int, str]]:
    """(root, when its lack begins to be felt, in words) of each event and turn that was hindered."""
    boot = case.capacity.boot
    booting: dict[int, int] = {}
    for event in case.evidence.events:
        name, time, server = event["event"], int(event["t"]), event.get("server")
        if name == "launch_refused":
            found = latest(case.suspects, REFUSERS, time, time)
            if found:
                yield found.origin, time + boot, f"the cloud refused a launch at {moment(time)} ({event.get('code')}); {found.origin.text}"  # fmt: skip
        elif name == "boot_failed":
            found = latest(case.suspects, ("boot_failure", "deploy"), time, time)
            if found:
                yield found.origin, time, f"server {server} failed to boot at {moment(time)}; {found.origin.text}"  # fmt: skip
        elif name == "launch_stuck":
            found = latest(case.suspects, ("stuck_launch",), time, time)
            if found:
                yield found.origin, time + boot, f"the launch of server {server} at {moment(time)} came to nothing; {found.origin.text}"  # fmt: skip
        elif name == "booting" and isinstance(server, int):
            booting[server] = time
        elif name == "ready" and server in booting:
            took, usual = time - booting[server], int(case.fleet.app.boot_time.mean)
            found = latest(case.suspects, ("slow_boot",), booting[server], booting[server])
            if found and took > 1.2 * usual:
                yield found.origin, booting[server] + usual, f"server {server} took {duration(took)} to boot, not {duration(usual)}; {found.origin.text}"  # fmt: skip
    for server, since in booting.items():
        found = latest(case.suspects, ("slow_boot",), since, since)
        if found and not any(e["event"] == "ready" and e.get("server") == server for e in case.evidence.events):  # fmt: skip
            yield found.origin, since + int(case.fleet.app.boot_time.mean), f"server {server} was still booting at the end; {found.origin.text}"  # fmt: skip
    yield from _idle_turns(case, boot)


def _idle_turns(case: Case, boot: int) -> Iterator[tuple[Origin, int, str]]:
    """Turns that did not take place, failed, saw nothing or saw what was not so, while more servers were wanted."""
    spec = case.fleet.autoscaler
    assert spec is not None, "only an autoscaled fleet can be hindered"
    said = turns(case.evidence)
    wants = _wants(case, said)
    views = wrong_views(case.evidence, case.suspects)
    known = {turn.time // SECOND: turn for turn in said}
    about = [one for one in case.suspects if misleads(one)]
    interval = max(spec.interval // SECOND, 1)
    for second in range(0, case.capacity.seconds, interval):
        time = second * SECOND
        there = max(case.capacity.listed[second], 1.0)
        if case.capacity.asked[second] / there < wants or there >= (spec.maximum if spec.maximum != NONE else 1 << 30):  # fmt: skip
            continue
        turn = next((known[one] for one in range(second, second + interval) if one in known), None)
        found: Suspect | None = None
        what = ""
        if turn is None:
            found, what = latest(about, STOPPERS, time, time), "no turn of the autoscaler took place"
        elif turn.failure:
            found, what = latest(about, STOPPERS, time - SECOND, time), f"the autoscaler could not decide ({turn.failure})"  # fmt: skip
        elif turn.wanted <= turn.size:
            if turn.time in views:
                yield views[turn.time], time + boot, f"the autoscaler saw another load than there was at {moment(time)}; {views[turn.time].text}"  # fmt: skip
                continue
            what = "the autoscaler lacked samples"
            found = latest(about, BLINDERS, time - 3 * SECOND, time) if turn.blind else None
        if found is not None:
            yield found.origin, time + boot, f"{what} at {moment(time)}; {found.origin.text}"


def _wants(case: Case, said: Sequence[Turn]) -> float:
    """The least utilisation at which the run's own turns asked for more, or WANTS."""
    seen = [
        float(case.capacity.asked[turn.time // SECOND] / max(case.capacity.listed[turn.time // SECOND], 1.0))
        for turn in said
        if turn.wanted > turn.size > 0 and turn.time // SECOND < case.capacity.seconds
    ]
    return min([*[one for one in seen if one > 0.2], WANTS])


def unanswered(case: Case) -> list[Hindrance]:
    """Stretches in which more was asked than the fleet could do for so long that an autoscaler that wanted to could have answered, and had not, although it might."""
    spec = case.fleet.autoscaler
    assert spec is not None, "only an autoscaler can be late"
    load = case.capacity.asked / np.maximum(case.capacity.listed, 1)
    found: list[Hindrance] = []
    launches = [int(e["t"]) for e in case.evidence.events if e["event"] in ("launched", "promoted")]
    since = -1
    for second in [*range(len(load)), len(load)]:
        over = second < len(load) and load[second] >= 1
        if over and since < 0:
            since = second
        elif not over and since >= 0:
            late = _late(case, since * SECOND, second * SECOND, launches)
            found += [late] if late else []
            since = -1
    return found


def _late(case: Case, since: int, until: int, launches: Sequence[int]) -> Hindrance | None:
    spec = case.fleet.autoscaler
    assert spec is not None
    patience = 2 * spec.interval + SECOND
    boot = case.capacity.boot
    able = spec.maximum == NONE or case.capacity.listed[min(since // SECOND, case.capacity.seconds - 1)] < spec.maximum  # fmt: skip
    answered = next((time for time in launches if since - boot <= time <= until), None)
    if not able or until - since <= patience + boot or (answered is not None and answered <= since + patience):  # fmt: skip
        return None
    when = "never" if answered is None else f"{duration(answered - since)} later"
    text = f"more servers were needed from {moment(since)} on; the first was launched {when}"
    origin = Origin(SCALING, "late scale-out", "", since, until, (), text)
    return Hindrance(origin, since + patience + boot, until + 5 * SECOND, text)
