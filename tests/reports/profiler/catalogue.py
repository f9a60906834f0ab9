"""A rehearsal for each type of fault that fails requests, and the truth about it: the same rehearsal without the fault.

Demand is drawn by request, so both ask the same; a request that fails only with the fault failed because of it.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from windtunnel.core.model import SECOND
from windtunnel.core.outcomes import GOOD, NAMES
from windtunnel.reports.evidence import Evidence
from windtunnel.reports.profiler.diagnosis import diagnose
from windtunnel.reports.profiler.signatures import Diagnosis
from windtunnel.reports.run import Run
from windtunnel.tests.support import plan, run

STRUCK, DECOY = "struck", "decoy"
"""The fault that fails requests, and one that is in force nearly all the time and does next to nothing."""

QUIET = {"name": DECOY, "type": "latency", "at": "1s", "target": {"role": "app", "count": 1}, "attributes": {"latency": "200us"}}  # fmt: skip


def shop(rate: str, length: str, **fleet: Any) -> dict[str, Any]:
    """Three servers that carry 800 requests a second, a database behind some of what they are asked."""
    return {
        "duration": length,
        "fleet": {
            "app": {
                "initial": 3, "min": 3, "max": 6, "workers": 4, "queue": 32, "boot_time": {"constant": "3s"},
                "memory": {"total": "1GiB", "base": "200MiB", "per_request": "1MiB"}, **fleet.pop("app", {}),
            },
            "proxy": {"cpu_per_request": "50us", "upstream_timeout": "1s", "routing": "round_robin", **fleet.pop("proxy", {})},
            "network": {"client": {"latency": "2ms"}, "upstream": {"latency": "0.2ms"}},
            "dependencies": [{
                "name": "db", "concurrency": 8, "queue": 60, "service": {"exponential": {"mean": "10ms"}},
                "cache": {"ttl": "10m", "hit_share": "90%", "keys": 400}, **fleet.pop("db", {}),
            }],
            **fleet,
        },
        "endpoints": [
            {"path": "/", "weight": 3, "cpu": {"exponential": {"mean": "15ms"}}, "response_size": "8KiB"},
            {"path": "/item", "weight": 1, "cpu": {"exponential": {"mean": "10ms"}}, "calls": ["db"], "response_size": "8KiB"},
        ],
        "traffic": [{"name": "users", "stages": [{"for": length, "rate": rate}], "client": {"timeout": "3s", "connections": {"pool": 500}}}],
    }  # fmt: skip


SCALER: dict[str, Any] = {"policy": {"threshold": {"requests_high": "190/s", "requests_low": "20/s"}}, "interval": "1s", "cooldown": "1s", "dead_after": "5s", "max_sample_age": "3s"}  # fmt: skip


def calm(kind: str, rate: str = "200/s", length: str = "30s", **more: Any) -> dict[str, Any]:
    """A fleet that has more than it needs, struck at 10 s for 8 s unless told."""
    return struck(shop(rate, length), kind, **more)


def scaled(kind: str, rate: str = "400/s", **more: Any) -> dict[str, Any]:
    """As calm, with an autoscaler."""
    document = struck(shop(rate, "30s"), kind, **more)
    document["autoscaler"] = deepcopy(SCALER)
    return document


def growing(kind: str, **more: Any) -> dict[str, Any]:
    """Twice the load from 8 s to 16 s on, which an autoscaler answers in time."""
    document = struck(shop("300/s", "40s"), kind, **{"at": "5s", "for": "25s", **more})
    document["traffic"][0]["stages"] = [{"for": "8s", "rate": "400/s"}, {"for": "12s", "to": "1000/s"}, {"for": "20s", "rate": "1000/s"}]  # fmt: skip
    document["autoscaler"] = deepcopy(SCALER)
    return document


def shrinking(kind: str, **more: Any) -> dict[str, Any]:
    """From six servers to as few as the load needs."""
    document = struck(shop("150/s", "40s", app={"initial": 6, "min": 1}), kind, **{"at": "3s", "for": "30s", **more})  # fmt: skip
    document["autoscaler"] = {**deepcopy(SCALER), "policy": {"threshold": {"requests_high": "190/s", "requests_low": "60/s"}}}  # fmt: skip
    return document


def struck(document: dict[str, Any], kind: str, **more: Any) -> dict[str, Any]:
    """*document* with the fault."""
    fault = {"name": STRUCK, "type": kind, "at": "10s", "for": "8s", **more}
    document["faults"] = [{name: value for name, value in fault.items() if value is not None}]
    return document


ONE, ALL, LINE = {"role": "app", "count": 1}, {"role": "app", "count": "all"}, {"role": "proxy"}
AT_ONCE: dict[str, Any] = {"for": None}


def _zombie() -> dict[str, Any]:
    return calm("zombie", "650/s", target=ONE)


def _cache_flush() -> dict[str, Any]:
    document = calm("cache_flush", "700/s", **AT_ONCE)
    document["fleet"]["dependencies"][0].update(concurrency=1, queue=4)
    document["fleet"]["dependencies"][0]["cache"]["hit_share"] = "99%"
    return document


def _stale_registry() -> dict[str, Any]:
    return shrinking("stale_registry", attributes={"lag": "6s", "reader": "proxy"})


def _second_autoscaler() -> dict[str, Any]:
    document = shrinking("second_autoscaler", attributes={"lease": "none", "offset": "400ms"})
    document["traffic"][0]["stages"] = [{"for": "40s", "rate": "650/s"}]
    document["fleet"]["app"].update(initial=4, min=1, max=4)
    document["autoscaler"]["policy"]["threshold"] = {"requests_high": "400/s", "requests_low": "165/s"}
    document["autoscaler"]["cooldown"] = "15s"
    return document


def _stale_listing() -> dict[str, Any]:
    document = growing("stale_listing", attributes={"lag": "60s"})
    document["autoscaler"]["reconcile_interval"] = "4s"
    return document


def _slow_close() -> dict[str, Any]:
    document = calm("slow_close", target=LINE, attributes={"delay": "3s"})
    document["fleet"]["proxy"].update(max_connections=300, backlog=20)
    document["traffic"][0]["client"] = {"timeout": "1s"}
    return document


def _api_throttling() -> dict[str, Any]:
    """Three servers more are needed, one after another, and each call costs half a minute."""
    document = growing("api_throttling", attributes={"rate": "2/m", "burst": 1})
    document["fleet"]["app"]["max"] = 8
    document["traffic"][0]["stages"][1:] = [{"for": "12s", "to": "1400/s"}, {"for": "20s", "rate": "1400/s"}]
    document["autoscaler"]["reconcile_interval"] = "10s"
    return document


def _monitor_stuck() -> dict[str, Any]:
    return growing("monitor_stuck", target=ALL)


def _stuck_termination() -> dict[str, Any]:
    return shrinking("stuck_termination")


CATALOGUE: dict[str, dict[str, Any]] = {
    "kill": scaled("kill", target=ONE, **AT_ONCE),
    "pause": calm("pause", target=ONE),
    "slow": calm("slow", target=ONE, attributes={"factor": 60}),
    "memory_leak": scaled("memory_leak", target=ONE, attributes={"rate": "150MiB"}),
    "error": calm("error", target=ONE, toxicity="30%"),
    "crash_loop": calm("crash_loop", target=ONE),
    "zombie": _zombie(),
    "spot_interruption": scaled(
        "spot_interruption", target=ONE, attributes={"notice": "4s", "handler": "none"}, **AT_ONCE
    ),
    "cpu_hog": calm("cpu_hog", "400/s", target=ALL, attributes={"share": "70%"}),
    "memory_pressure": scaled("memory_pressure", target=ONE, attributes={"size": "900MiB"}),
    "disk_full": growing("disk_full"),
    "descriptor_limit": calm("descriptor_limit", attributes={"limit": 12}),
    "clock_skew": scaled("clock_skew", target=ONE, attributes={"by": "-1m"}),
    "clock_jump": scaled("clock_jump", target={"role": "autoscaler"}, attributes={"by": "1m"}, **AT_ONCE),
    "latency": calm("latency", target=ONE, attributes={"latency": "700ms", "jitter": "300ms"}),
    "loss": calm("loss", target=ONE, toxicity="60%"),
    "partition": calm("partition", target=ONE),
    "bandwidth": calm("bandwidth", target=ONE, attributes={"rate": "100KB"}),
    "slicer": calm("slicer", target=LINE, attributes={"average_size": "1KB", "delay": "600ms"}),
    "timeout": calm("timeout", target=ONE, toxicity="50%"),
    "reset": calm("reset", target=ONE, attributes={"timeout": "5ms"}),
    "slow_close": _slow_close(),
    "limit_data": calm("limit_data", target=LINE, attributes={"bytes": "30KB"}),
    "registry_down": growing("registry_down"),
    "registry_slow": growing("registry_slow", attributes={"latency": "1500ms"}),
    "registry_flush": calm("registry_flush", **AT_ONCE),
    "registry_restart": calm("registry_restart"),
    "stale_registry": _stale_registry(),
    "boot_failure": growing("boot_failure"),
    "slow_boot": growing("slow_boot", attributes={"factor": 6}),
    "capacity_error": growing("capacity_error"),
    "stuck_launch": growing("stuck_launch"),
    "stuck_termination": _stuck_termination(),
    "stale_listing": _stale_listing(),
    "api_throttling": _api_throttling(),
    "autoscaler_crash": growing("autoscaler_crash"),
    "second_autoscaler": _second_autoscaler(),
    "autoscaler_pause": growing("autoscaler_pause"),
    "monitor_silent": scaled("monitor_silent", target=ONE),
    "monitor_stuck": _monitor_stuck(),
    "proxy_restart": calm("proxy_restart", attributes={"after": "500ms"}, **AT_ONCE),
    "dependency_down": calm("dependency_down"),
    "dependency_slow": calm("dependency_slow", attributes={"factor": 100}),
    "cache_flush": _cache_flush(),
}  # fmt: skip


VARIANTS: dict[str, dict[str, Any]] = {
    "kill of the proxy": calm("kill", target=LINE, **AT_ONCE),
    "slow proxy": calm("slow", "400/s", target=LINE, attributes={"factor": 80}),
    "cpu_hog at the proxy": calm("cpu_hog", "400/s", target=LINE, attributes={"share": "98.5%"}),
    "latency of clients": calm("latency", target=LINE, attributes={"latency": "1200ms", "jitter": "600ms"}),
    "loss of clients": calm("loss", target=LINE, toxicity="60%"),
    "partition of clients": calm("partition", target=LINE),
    "partition downstream": calm("partition", target=ONE, stream="downstream"),
    "partition of a server from the registry": scaled("partition", target=ONE, attributes={"from": "registry"}),
    "partition of the autoscaler": growing("partition", target={"role": "autoscaler"}),
    "bandwidth of clients": calm("bandwidth", target=LINE, attributes={"rate": "600KB"}),
    "timeout of clients": calm("timeout", target=LINE, toxicity="50%"),
    "reset of clients": calm("reset", target=LINE, toxicity="50%"),
    "limit_data of a server": calm("limit_data", target=ONE, attributes={"bytes": "4KB"}),
    "slicer of a server": calm("slicer", target=ONE, attributes={"average_size": "1KB", "delay": "300ms"}),
    "clock_skew of the autoscaler": scaled("clock_skew", target={"role": "autoscaler"}, attributes={"by": "1m"}),
    "stale_registry of the autoscaler": shrinking("stale_registry", attributes={"lag": "6s", "reader": "autoscaler"}),
    "pause of all": calm("pause", target=ALL, **{"for": "4s"}),
    "memory_pressure of all": calm("memory_pressure", target=ALL, attributes={"size": "900MiB"}),
}  # fmt: skip
"""Types that have more than one place to strike at."""


def guarded(document: dict[str, Any]) -> dict[str, Any]:
    """The same with a proxy that ejects servers and clients that try again. So there are more consequences."""
    found = deepcopy(document)
    found["fleet"]["proxy"].update(
        outlier_detection={"consecutive_5xx": 5, "base_ejection_time": "2s", "max_ejection_percent": "50%"},
    )
    found["traffic"][0]["client"] = {
        **found["traffic"][0]["client"],
        "retries": {"attempts": 1, "backoff": "50ms"},
    }
    return found


CROWD = 28
"""When it comes, in s."""


def then_a_crowd(document: dict[str, Any]) -> dict[str, Any]:
    """The same, and five seconds of twice what the fleet can do when the fault and its consequences are over: failures of another origin."""
    found = deepcopy(document)
    found["duration"] = "40s"
    rate = found["traffic"][0]["stages"][0]["rate"]
    assert CROWD == 28, "seconds"
    found["traffic"][0]["stages"] = [{"for": "28s", "rate": rate}, {"for": "5s", "rate": "1600/s"}, {"for": "7s", "rate": rate}]  # fmt: skip
    return found


def crowded(kind: str, **more: Any) -> dict[str, Any]:
    """More than the fleet can do from 10 s to 20 s, while a fault is in force that does next to nothing."""
    document = shop("300/s", "30s")
    document["traffic"][0]["stages"] = [{"for": "10s", "rate": "300/s"}, {"for": "10s", "rate": "1100/s"}, {"for": "10s", "rate": "300/s"}]  # fmt: skip
    return struck(document, kind, **{"at": "5s", "for": "20s", **more})


HARMLESS: dict[str, dict[str, Any]] = {
    "pause": {"for": "2ms", "at": "12s", "target": ONE},
    "slow": {"target": ONE, "attributes": {"factor": 1.03}},
    "memory_leak": {"target": ONE, "attributes": {"rate": "1KiB"}},
    "error": {"target": ONE, "toxicity": "0.01%"},
    "cpu_hog": {"target": ONE, "attributes": {"share": "2%"}},
    "memory_pressure": {"target": ONE, "attributes": {"size": "1MiB"}},
    "disk_full": {},
    "descriptor_limit": {"attributes": {"limit": 60000}},
    "clock_skew": {"target": ONE, "attributes": {"by": "10ms"}},
    "latency": {"target": {"role": "proxy"}, "attributes": {"latency": "300us"}},
    "loss": {"target": ONE, "toxicity": "0.001%"},
    "bandwidth": {"target": ONE, "attributes": {"rate": "1GB"}},
    "slicer": {"target": ONE, "attributes": {"average_size": "1MB", "delay": "1ms"}},
    "timeout": {"target": ONE, "toxicity": "0.001%"},
    "reset": {"target": ONE, "toxicity": "0.001%"},
    "slow_close": {"target": {"role": "proxy"}, "attributes": {"delay": "1ms"}},
    "limit_data": {"target": {"role": "proxy"}, "attributes": {"bytes": "1GB"}},
    "partition": {"target": {"role": "proxy"}, "for": "2ms", "at": "12s"},
    "registry_down": {},
    "registry_slow": {"attributes": {"latency": "5ms"}},
    "stale_registry": {"attributes": {"lag": "1s"}},
    "monitor_silent": {"target": ONE},
    "monitor_stuck": {"target": ONE},
    "dependency_slow": {"attributes": {"factor": 1.02}},
    "boot_failure": {},
    "slow_boot": {"attributes": {"factor": 3}},
    "capacity_error": {},
    "cache_flush": {"for": None, "at": "5s"},
}
"""Settings with which a fault does next to nothing, beside a crowd that fails by itself."""


@dataclass(frozen=True)
class Truth:
    """What became of one rehearsal. *caused*: failures that the fault caused; *right*: of these, those said to be its; *own*: failures that came without it, too;
    *wrong*: failures said to be its beyond those that it caused; *decoy*: failures said to be the harmless fault's; *missed*: caused ones by what they were said to be.

    All are counted second by second (of the planned time), and what it caused in a second is how many more failed than without it. Where nothing fails without the fault, these
    are the requests that fail only with it. Where a fleet is overloaded anyway, the least disturbance exchanges who finds a place, and no cause can be told of a single request.
    """

    caused: int
    right: int
    own: int
    wrong: int
    decoy: int
    diagnosis: Diagnosis
    missed: dict[str, int]

    @property
    def share(self) -> float:
        """Of what the fault caused, what was said to be its."""
        return self.right / self.caused if self.caused else 1.0


def failures(found: Run) -> dict[int, int]:
    """Planned second of each failed request, by its number."""
    table = found.requests
    good = {NAMES[one] for one in GOOD}
    rows = zip(*(table.column(name).to_pylist() for name in ("outcome", "request", "time_ns")), strict=True)
    return {number: time // SECOND for outcome, number, time in rows if outcome not in good}


def weighed(
    document: dict[str, Any], seed: int = 1, fault: str = STRUCK, decoy: bool = True, until: int = 1 << 30
) -> Truth:
    """The rehearsal of *document* with the fault called so and without it, and what the profiler says."""
    document = deepcopy(document)
    others = [one for one in document["faults"] if one["name"] != fault]
    quiet = [deepcopy(QUIET)] if decoy else []
    without = {**document, "faults": [*others, *quiet]}
    document["faults"] += quiet
    return judged(run(document, seed), document, run(without, seed), fault, seed, until)


def judged(
    found: Run, document: dict[str, Any], without: Run, name: str, seed: int = 1, until: int = 1 << 30
) -> Truth:
    """What the profiler says of *found*, against the failures that came in the run *without* the origin called *name*, which causes none from *until* (s) on."""
    said = diagnose(Evidence.of(found, plan(document, seed).fleet))
    failed, anyway = failures(found), failures(without)
    of = dict(zip(said.failed.tolist(), said.origin_of.tolist(), strict=True))
    assert set(of) == set(failed), "each failure has one origin, and nothing else has"
    assert sum(one.count for one in said.failures) == len(failed) == sum(one.count for one in said.origins)
    names = [total.origin.name for total in said.origins]
    seconds = max([*failed.values(), *anyway.values()], default=0) + 1
    came = np.bincount(list(failed.values()), minlength=seconds)
    own = np.minimum(came, np.bincount(list(anyway.values()), minlength=seconds))
    own[until:] = came[until:]
    blamed: dict[str, Any] = {}
    for number, second in failed.items():
        blamed.setdefault(names[of[number]], np.zeros(seconds, dtype=int))[second] += 1
    its, caused = blamed.get(name, np.zeros(seconds, dtype=int)), came - own
    right = np.minimum(its, caused)
    unpaid = caused - right
    missed = {other: int(np.minimum(count, unpaid).sum()) for other, count in blamed.items() if other != name}
    return Truth(
        int(caused.sum()), int(right.sum()), int(own.sum()), int((its - right).sum()), int(blamed.get(DECOY, np.zeros(1)).sum()), said,
        {other: count for other, count in missed.items() if count},
    )  # fmt: skip
