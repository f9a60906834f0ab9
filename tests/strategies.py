"""Random scenarios: small ones with everything in them, as plain data."""

from typing import Any

from hypothesis import strategies as st
from windtunnel.core.distributions import constant
from windtunnel.core.faults import FAULTS
from windtunnel.core.model import NONE, Memory, VersionSpec

MS = "ms"


def durations(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda value: f"{value}ms")


def distributions(low: int = 1, high: int = 30) -> st.SearchStrategy[dict[str, Any]]:
    mean = durations(low, high)
    return st.one_of(
        st.builds(lambda value: {"constant": value}, mean),
        st.builds(lambda value: {"exponential": {"mean": value}}, mean),
        st.builds(
            lambda value, cv: {"lognormal": {"mean": value, "cv": cv}}, mean, st.sampled_from([0.3, 1, 2])
        ),
        st.builds(lambda value: {"uniform": {"min": "0ms", "max": value}}, mean),
        st.builds(lambda value: {"pareto": {"mean": value, "shape": 2.1}}, mean),
    )


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


def without_none(value: Any) -> Any:
    """Drop omitted fields."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


APP = st.fixed_dictionaries(
    {
        "initial": st.integers(0, 4),
        "min": st.integers(0, 2),
        "max": st.integers(4, 6),
        "workers": st.integers(1, 4),
        "cores": optional(st.integers(1, 4)),
        "queue": optional(st.integers(0, 10)),
        "memory": optional(
            st.fixed_dictionaries(
                {
                    "total": st.just("100MiB"),
                    "base": st.just("40MiB"),
                    "per_request": st.sampled_from(["0", "2MiB", "9MiB"]).map(lambda v: 0 if v == "0" else v),
                    "leak": st.sampled_from([0, "64KiB"]),
                }
            )
        ),
        "boot_time": distributions(200, 3000),
        "boot_failure": st.sampled_from([0, "30%"]),
        "metrics": st.just(
            {"strain": {"base": 1, "per_in_flight": 2, "per_queued": 0.5, "per_request": 0.1}}
        ),
        "canaries": st.integers(0, 1),
        "standby": st.integers(0, 1),
        "weights": st.lists(st.integers(1, 3), min_size=1, max_size=3),
    }
)

REMEDY = st.fixed_dictionaries(
    {
        "command": st.just(["trim"]),
        "above": st.sampled_from(["45%", "60%"]),
        "clear": st.sampled_from([None, "42%"]),
        "cooldown": st.sampled_from([0, "1s"]),
        "takes": st.sampled_from([0, "700ms"]),
        "effect": st.sampled_from([None, {"free": "70%"}, {"restart": 0}, {"restart": "600ms"}]),
    }
)

PROXY = st.fixed_dictionaries(
    {
        "max_connections": optional(st.integers(2, 60)),
        "backlog": optional(st.integers(0, 20)),
        "overload": st.sampled_from(["refuse", "evict"]),
        "cpu_per_request": st.sampled_from([0, "150us", "2ms"]),
        "memory": optional(st.just({"total": "2MiB", "base": "1MiB", "per_connection": "32KiB"})),
        "on_exhaustion": st.sampled_from(["refuse", "evict", "crash"]),
        "restart_after": optional(durations(100, 2000)),
        "routing": st.sampled_from(
            [
                "round_robin",
                "least_connections",
                "power_of_two",
                "weighted",
                "random",
                "consistent_hash",
                "peak_ewma",
            ]
        ),
        "canary_every": st.sampled_from([0, 4]),
        "upstream_timeout": optional(durations(20, 500)),
        "keepalive_timeout": optional(durations(100, 2000)),
        "write_timeout": optional(durations(100, 2000)),
        "retries": optional(
            st.fixed_dictionaries({"attempts": st.integers(0, 2), "budget": optional(st.just("20%"))})
        ),
        "health_check": optional(st.just({"interval": "300ms", "timeout": "100ms"})),
        "outlier_detection": optional(st.just({"consecutive_5xx": 3, "base_ejection_time": "700ms"})),
        "circuit_breaker": optional(st.builds(lambda cap: {"max_in_flight": cap}, st.integers(1, 20))),
        "slow_start": st.sampled_from([0, "1s"]),
    }
)

NETWORK = st.fixed_dictionaries(
    {
        "client": st.sampled_from([{}, {"latency": "2ms"}, {"latency": "20ms", "jitter": "20ms"}]),
        "upstream": st.sampled_from([{}, {"latency": "500us", "jitter": "100us"}]),
        "socket_buffer": optional(st.sampled_from(["1KiB", "64KiB"])),
    }
)

CACHE = st.just({"ttl": "1s", "hit_share": "80%", "keys": 20})
DEPENDENCY = st.fixed_dictionaries(
    {
        "name": st.just("db"),
        "concurrency": st.integers(1, 4),
        "queue": optional(st.integers(0, 5)),
        "service": distributions(1, 20),
        "cache": optional(CACHE),
    }
)

CLIENT = st.fixed_dictionaries(
    {
        "timeout": optional(durations(30, 2500)),
        "connections": st.one_of(
            st.just("per_request"), st.builds(lambda n: {"pool": n}, st.integers(1, 20))
        ),
        "retries": optional(
            st.builds(
                lambda n, backoff: {"attempts": n, "backoff": backoff, "jitter": "50%"},
                st.integers(0, 3),
                st.sampled_from([0, "20ms"]),
            )
        ),
    }
)

RATE = st.integers(0, 250).map(lambda value: f"{value}/s" if value else 0)
STAGES = st.lists(
    st.one_of(
        st.builds(lambda length, rate: {"for": length, "rate": rate}, durations(200, 2000), RATE),
        st.builds(lambda length, rate: {"for": length, "to": rate}, durations(200, 2000), RATE),
        st.builds(
            lambda length: {
                "for": length,
                "rate": {"uniform": {"min": "10/s", "max": "200/s"}, "every": "300ms"},
            },
            durations(200, 2000),
        ),
    ),
    min_size=1,
    max_size=3,
)

SOURCE = st.one_of(
    st.builds(
        lambda stages, client, arrivals: {"stages": stages, "client": client, "arrivals": arrivals},
        STAGES, CLIENT, st.sampled_from(["poisson", "constant"]),
    ),
    st.builds(
        lambda at, client: {
            "diurnal": {"mean": "60/s", "peak": "110/s", "at": at, "period": "900ms"}, "client": client, "headers": "mixed",
        },
        durations(0, 900), CLIENT,
    ),
    st.builds(
        lambda every, length, client: {
            "bursts": {"rate": "20/s", "to": "200/s", "every": every, "for": length}, "client": client,
        },
        distributions(100, 900), distributions(100, 500), CLIENT,
    ),
    st.builds(
        lambda n, think, client, maximum: {
            "closed": {"concurrency": n, "think": think, "maximum": maximum}, "client": client,
        },
        st.integers(1, 5), distributions(20, 200), CLIENT, optional(st.integers(1, 100)),
    ),
    st.builds(
        lambda stages, n: {"flood": {"stages": stages, "connections": n}}, STAGES, st.integers(1, 80)
    ),
)  # fmt: skip

_GET = "GET /io HTTP/1.1\r\nHost: {authority}\r\n"
_POST = "POST / HTTP/1.1\r\nHost: {authority}\r\n"
BYTES = st.sampled_from(
    [
        _GET + "\r\n", _GET[:17], "\r\n", _POST + "Content-Length: 9\r\n\r\nslow", " body", "\r\n\r\n", "GET / HTTP/1.1\n\n",
        _GET + "Connection: close\r\n\r\n", _POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n", "",
    ]
)  # fmt: skip
CONNECTION = st.fixed_dictionaries(
    {
        "steps": st.lists(
            st.fixed_dictionaries(
                {"text": BYTES, "repeat": st.sampled_from([1, 1, 3, 20]), "pause": st.sampled_from([0, "10ms", "700ms"])}
            ),
            min_size=1, max_size=4,
        ),
        "end": st.sampled_from(["wait", "wait", "close", "half-close", "reset"]),
        "reads": st.sampled_from([True, True, False]),
        "expect": optional(st.lists(st.sampled_from([200, 400, 404]), min_size=1, max_size=3)),
    }
)  # fmt: skip
WIRE = st.builds(
    lambda when, connections, timeout, arrivals: {
        "wire": {**when, "connections": connections}, "client": {"timeout": timeout}, "arrivals": arrivals,
    },
    st.one_of(
        st.lists(durations(0, 3000), min_size=1, max_size=5).map(lambda at: {"at": at}), STAGES.map(lambda stages: {"stages": stages})
    ),
    st.lists(CONNECTION, min_size=1, max_size=4), optional(durations(5, 2500)), st.sampled_from(["poisson", "constant"]),
)  # fmt: skip
"""Exact bytes: whole, broken, slow, left in the middle, never read."""

TARGET: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"metric": "in_flight", "target": 3},
        {"metric": "requests", "target": "20/s"},
        {"metric": "cpu", "target": "30%"},
        {"custom": "strain", "target": 6.5},
    ]
)
ALARM = st.fixed_dictionaries(
    {
        "period": st.sampled_from(["1s", "2s"]),
        "evaluation_periods": st.integers(1, 2),
        "missing_data": st.sampled_from(["missing", "ignore", "breaching", "not_breaching"]),
    }
)
LEVEL = st.sampled_from(
    [
        {"metric": "in_flight", "threshold": 2},
        {"metric": "cpu", "threshold": "20%"},
        {"custom": "strain", "threshold": 4},
    ]
)
CHANGE = st.sampled_from(
    [
        {"adjustment_type": "change"},
        {"adjustment_type": "percent", "min_adjustment_magnitude": 1},
        {"adjustment_type": "exact"},
    ]
)


def rules(adjustments: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """An alarm's rule; an exact number of servers is none below 0."""

    def made(alarm: Any, level: Any, change: Any, more: dict[str, Any]) -> dict[str, Any]:
        rule = {**alarm, **level, **change, **more}
        if change["adjustment_type"] == "exact":
            for one in rule.get("steps", [rule]):
                one["adjustment"] = abs(one["adjustment"])
        return rule

    return st.builds(made, ALARM, LEVEL, CHANGE, adjustments)


def by(out: bool) -> st.SearchStrategy[int]:
    return st.integers(1, 3).map(lambda value: value if out else -value)


def steps(out: bool) -> st.SearchStrategy[dict[str, Any]]:
    side = "lower" if out else "upper"
    return by(out).map(lambda value: {"steps": [{side: 0, "adjustment": value}]})


def simple(out: bool) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda value, cooldown: {"adjustment": value, "cooldown": cooldown},
        by(out),
        st.sampled_from([0, "1s"]),
    )


HPA_RULES = optional(
    st.fixed_dictionaries(
        {
            "stabilization_window": st.sampled_from([None, 0, "1s"]),
            "policies": optional(st.just([{"pods": 1, "period": "1s"}, {"percent": 50, "period": "2s"}])),
            "select_policy": st.sampled_from(["max", "min", "disabled"]),
        }
    )
)
CLOCK = "2026-03-02T08:00:0"
LEAVES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "threshold": st.fixed_dictionaries(
        {
            "requests_high": st.just("40/s"), "requests_low": st.just("10/s"), "memory_high": optional(st.just("90%")),
            "standby_above": optional(st.just("60/s")),
        }
    ),
    "step": st.fixed_dictionaries(
        {"scale_out": rules(steps(True)), "scale_in": optional(rules(steps(False))), "warmup": st.sampled_from([0, "1s"])}
    ),
    "simple": st.fixed_dictionaries({"scale_out": rules(simple(True)), "scale_in": optional(rules(simple(False)))}),
    "target_tracking": TARGET,
    "target_tracking_hpa": st.fixed_dictionaries(
        {
            "metrics": TARGET.map(lambda target: [target]), "scale_up": HPA_RULES, "scale_down": HPA_RULES,
            "downscale_stabilization": st.just("1s"), "cpu_initialization_period": st.sampled_from([0, "2s"]),
            "metric_window": st.just("1s"),
        }
    ),
    "target_tracking_aws": st.builds(
        lambda target, scale_in: {
            **target, "period": "1s", "out_datapoints": 1, "in_datapoints": 2, "warmup": "1s", "disable_scale_in": not scale_in,
        },
        TARGET, st.booleans(),
    ),
    "panic": st.builds(
        lambda target, delay: {**target, "stable_window": "5s", "panic_window": "20%", "panic_threshold": "150%", "scale_down_delay": delay},
        TARGET, st.sampled_from([0, "1s"]),
    ),
    "scheduled": st.lists(
        st.builds(lambda at, what: {"at": f"{CLOCK}{at}", **what}, st.integers(0, 4), st.sampled_from([{"size": 3}, {"min": 2}, {"max": 1}])),
        min_size=1, max_size=3,
    ).map(lambda entries: {"starts": f"{CLOCK}0", "entries": entries}),
    "queue": st.fixed_dictionaries(
        {
            "metric": st.just("requests"), "target": st.just("20/s"), "activation": st.just("5/s"), "polling": st.just("1s"),
            "sync": st.just("1s"), "cooldown": st.just("1s"), "downscale_stabilization": st.just("2s"),
            "fallback": optional(st.just({"servers": 2, "failure_threshold": 1})),
        }
    ),
}  # fmt: skip
"""Every policy that stands alone, with times short enough for four seconds."""


def named(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """The policy of that kind, as a scenario has it."""
    if kind != "combine":
        return LEAVES[kind].map(lambda drawn: {kind: drawn})
    return st.builds(
        lambda of, how: {"combine": {"of": of, "by": how}},
        st.lists(st.sampled_from(sorted(LEAVES)).flatmap(named), min_size=1, max_size=3),
        st.sampled_from(["max", "min", "mean"]),
    )


POLICY = st.sampled_from([*sorted(LEAVES), "combine"]).flatmap(named)
AUTOSCALER = st.fixed_dictionaries(
    {
        "policy": POLICY,
        "interval": st.sampled_from(["500ms", "1s"]),
        "cooldown": st.sampled_from([0, "1s"]),
        "dead_after": st.sampled_from(["2s", "3s"]),
        "boot_timeout": st.just("4s"),
        "drain_grace": st.just("1500ms"),
        "drain_timeout": st.sampled_from(["2s", "3s"]),
        "reconcile_interval": st.sampled_from([None, "2s"]),
        "victims": st.sampled_from(["youngest", "oldest", "least_busy"]),
        "missing_samples": st.sampled_from(["unknown", "zero"]),
        "orphans": st.sampled_from(["adopt", "terminate", "leave"]),
    }
)

KILL = st.builds(
    lambda at, role, count: {"type": "kill", "at": at, "target": {"role": role, "count": 1 if role == "proxy" else count}},
    durations(0, 4000), st.sampled_from(["app", "canary", "standby", "proxy"]), st.integers(1, 3),
)  # fmt: skip
SERVERS = st.builds(
    lambda role, count: {"role": role, "count": count},
    st.sampled_from(["app", "app", "canary", "standby"]),
    st.sampled_from([1, 2, "all"]),
)
PROXY_TARGET = st.just({"role": "proxy"})
TOXICITY = st.sampled_from([None, "20%", "70%"])
STREAM = st.sampled_from([None, "upstream", "downstream"])
FACTOR = st.sampled_from([1.5, 4, 30]).map(lambda factor: {"factor": factor})


def lasting(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A fault of a type that lasts, for some time or to the end."""
    return st.fixed_dictionaries(
        {"type": st.just(kind), "at": durations(0, 3000), "for": optional(durations(50, 2500)), **more}
    )


def at_once(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), "at": durations(0, 3000), **more})


OFFSET = st.sampled_from(["-2s", "300ms", "1h"]).map(lambda by: {"by": by})
LATENCY = st.sampled_from([{"latency": "30ms"}, {"latency": "200ms", "jitter": "150ms"}])
LINK: dict[str, Any] = {"target": st.one_of(SERVERS, PROXY_TARGET), "stream": STREAM}
STRUCK = {"target": LINK["target"], "toxicity": TOXICITY}
SOON = st.sampled_from([0, "20ms", "300ms"])
LINK_FAULT = st.one_of(
    lasting("latency", **LINK, toxicity=TOXICITY, attributes=LATENCY),
    lasting("loss", **LINK, toxicity=TOXICITY),
    lasting("partition", **LINK),
    lasting("bandwidth", **LINK, attributes=st.sampled_from(["5KB", "100KB", "20MB"]).map(lambda rate: {"rate": rate})),
    lasting(
        "slicer", **LINK, toxicity=TOXICITY,
        attributes=st.sampled_from([{"average_size": "100B", "delay": "3ms"}, {"average_size": "1MB", "delay": "7ms"}]),
    ),
    lasting("timeout", **LINK, toxicity=TOXICITY, attributes=SOON.map(lambda time: {"timeout": time})),
    lasting("reset", **STRUCK, attributes=SOON.map(lambda time: {"timeout": time})),
    lasting("slow_close", **STRUCK, attributes=st.sampled_from([{"delay": "30ms"}, {"delay": "2s"}])),
    lasting(
        "limit_data", **LINK, toxicity=TOXICITY,
        attributes=st.sampled_from(["500B", "2KB", "2MB"]).map(lambda size: {"bytes": size}),
    ),
)  # fmt: skip
"""What goes wrong with links."""
FAULT = st.one_of(
    KILL,
    LINK_FAULT,
    lasting("pause", target=SERVERS),
    lasting("slow", target=st.one_of(SERVERS, PROXY_TARGET), attributes=FACTOR),
    lasting("memory_leak", target=SERVERS, attributes=st.just({"rate": "20MiB"})),
    lasting("error", target=SERVERS, toxicity=TOXICITY, attributes=st.sampled_from([{}, {"status": 503}])),
    lasting("partition", target=st.one_of(SERVERS, PROXY_TARGET), attributes=st.just({"from": "registry"})),
    lasting("registry_down"),
    lasting("registry_slow", attributes=st.sampled_from([{"latency": "80ms"}, {"latency": "3s"}])),
    at_once("registry_flush"),
    lasting("boot_failure", toxicity=TOXICITY),
    lasting("slow_boot", attributes=FACTOR),
    lasting("capacity_error", toxicity=TOXICITY),
    lasting("api_throttling", attributes=st.just({"rate": "1/s", "burst": 2})),
    lasting("monitor_silent", target=SERVERS),
    lasting("monitor_stuck", target=SERVERS),
    at_once("proxy_restart", attributes=st.sampled_from([{}, {"after": "200ms"}])),
    lasting("crash_loop", target=SERVERS, attributes=st.sampled_from([{}, {"lives": "300ms", "restart": "120ms"}, {"restart": 0}])),
    lasting("zombie", target=SERVERS),
    at_once("spot_interruption", target=SERVERS, attributes=st.builds(lambda notice, handler: {"notice": notice, "handler": handler}, durations(0, 2000), st.sampled_from(["drain", "none"]))),
    lasting("cpu_hog", target=st.one_of(SERVERS, PROXY_TARGET), attributes=st.sampled_from([{"share": "30%"}, {"share": "95%"}])),
    lasting("memory_pressure", target=SERVERS, attributes=st.sampled_from([{"size": "20MiB"}, {"size": "45MiB"}, {"size": "70MiB"}])),
    lasting("disk_full", target=st.one_of(SERVERS, st.just({"role": "registry"}))),
    lasting("descriptor_limit", attributes=st.sampled_from([{"limit": 1}, {"limit": 6}, {"limit": 40}])),
    lasting("clock_skew", target=SERVERS, attributes=OFFSET),
    at_once("clock_jump", target=SERVERS, attributes=OFFSET),
    lasting("registry_restart"),
    lasting("stale_registry", attributes=st.builds(lambda lag, reader: {"lag": lag, "reader": reader}, durations(0, 2500), st.sampled_from(["both", "proxy", "autoscaler"]))),
    lasting("stuck_launch", toxicity=TOXICITY),
    lasting("stuck_termination", toxicity=TOXICITY),
    lasting("stale_listing", attributes=st.sampled_from([{"lag": "400ms"}, {"lag": "2s"}])),
)  # fmt: skip
OF_DEPENDENCY = st.one_of(lasting("dependency_down"), lasting("dependency_slow", attributes=FACTOR))
OF_AUTOSCALER = st.one_of(
    lasting("autoscaler_crash", attributes=st.sampled_from([{}, {"during": "launch"}])),
    lasting(
        "second_autoscaler",
        attributes=st.sampled_from([{}, {"lease": "none"}, {"lease": "none", "offset": "100ms"}]),
    ),
    lasting("autoscaler_pause", attributes=st.sampled_from([{}, {"caught": "deciding"}])),
    lasting("clock_skew", target=st.just({"role": "autoscaler"}), attributes=OFFSET),
    at_once("clock_jump", target=st.just({"role": "autoscaler"}), attributes=OFFSET),
)


def waiting(fault: dict[str, Any], name: str, before: list[dict[str, Any]], choice: int) -> dict[str, Any]:
    """*fault*, or one like it that waits for something: for one of those *before* it, if it can."""
    made: dict[str, Any] = {"name": name, **fault}
    if choice == 0:
        return made
    if choice == 1:
        made["while"] = "booting"
    elif choice == 2:
        made["while"] = "draining"
    else:
        other = before[choice % len(before)] if before else {}
        if not other:
            return made
        lasts = FAULTS[other["type"]].lasts
        if choice % 2 and lasts:
            made["while"] = f"fault {other['name']}"
        elif not lasts or other.get("for") or "while" in other:
            made["after"] = other["name"]
            made.pop("at", None)
    return made


PROFILE = st.one_of(
    st.none(), st.none(), st.builds(lambda cores: {"host_cores": cores, "demand": "burn"}, st.integers(1, 5))
)
"""Sometimes a machine whose cores all share."""

BODY = st.sampled_from(
    [None, None, "3MiB", {"uniform": {"min": 0, "max": "8MiB"}}, {"lognormal": {"mean": "1MiB", "cv": 2}}]
)


DEPLOYED = {
    "v2": {"service_time": 2, "boot_time": "200ms"},
    "v3": {"error_share": "40%", "memory": {"leak": "256KiB"}, "crash_after": "1500ms"},
}
DEPLOY_STEP = st.one_of(
    st.sampled_from(["0%", "10%", "100%"]).map(lambda share: {"set_weight": share}),
    st.just({"pause": "1s"}),
    st.just(
        {"analysis": {"for": "1s", "every": "1s", "timeout": "2s", "min_requests": 5, "error_margin": "20%"}}
    ),
)
DEPLOY = st.one_of(
    st.fixed_dictionaries(
        {
            "at": durations(0, 2000), "version": st.sampled_from(["v1", "v2", "v3"]), "strategy": st.sampled_from(["rolling", "all_at_once"]),
            "max_surge": st.sampled_from([0, 1, "50%"]), "max_unavailable": st.sampled_from([1, "100%"]), "drain": st.sampled_from([None, 0]),
        }
    ),
    st.fixed_dictionaries(
        {
            "at": durations(0, 2000), "version": st.sampled_from(["v2", "v3"]), "strategy": st.just("canary"),
            "branch": st.sampled_from(["master", "canary"]), "steps": st.lists(DEPLOY_STEP, max_size=2),
        }
    ),
    st.fixed_dictionaries({"at": durations(0, 2000), "version": st.just("v2"), "strategy": st.just("blue_green"), "keep": st.just("1s")}),
    st.fixed_dictionaries({"at": durations(0, 2000), "version": st.just("p"), "branch": st.just("proxy"), "connections": st.sampled_from(["lost", "handed_over"])}),
    st.fixed_dictionaries({"at": durations(0, 2000), "version": st.just("r"), "branch": st.just("redis")}),
).map(lambda deploy: {**deploy, "install": "300ms", "min_ready": "200ms", "deadline": "2s"})  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario as plain data: at most four seconds and a few hundred requests."""
    sources = draw(st.lists(st.one_of(SOURCE, SOURCE, SOURCE, WIRE), max_size=3))
    dependency = draw(optional(DEPENDENCY))
    autoscaler = draw(
        st.sampled_from([True, True, True, False]).flatmap(lambda there: AUTOSCALER if there else st.none())
    )
    kinds = [FAULT, *([OF_DEPENDENCY] if dependency else []), *([OF_AUTOSCALER] if autoscaler else [])]
    if dependency and dependency["cache"]:
        kinds.append(at_once("cache_flush"))
    waiters: list[dict[str, Any]] = []
    for n, fault in enumerate(draw(st.lists(st.one_of(kinds), max_size=4))):
        waiters.append(
            waiting(fault, f"fault{n}", waiters, draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6])))
        )
    endpoints = [
        {"path": "/", "weight": 3, "cpu": draw(distributions()), "response_size": "600B",
         "calls": draw(st.sampled_from([[], ["db"], ["db", "db"]])) if dependency else []},
        {"path": "/io", "cpu": draw(distributions(0, 5)), "io": draw(optional(distributions())),
         "status": draw(st.sampled_from([200, 404, 500]))},
    ]  # fmt: skip
    app = draw(APP)
    if app["memory"]:
        app["on_low_memory"] = draw(optional(REMEDY))
    document = {
        "duration": draw(durations(500, 4000)),
        "profile": draw(PROFILE),
        "fleet": {
            "app": app,
            "proxy": draw(PROXY),
            "network": draw(NETWORK),
            "registry": {
                "refresh_interval": draw(st.sampled_from(["100ms", "1s"])),
                "reregister": draw(st.sampled_from([None, "700ms"])),
            },
            "dependencies": [dependency] if dependency else [],
        },
        "endpoints": endpoints,
        "traffic": [
            {"name": f"source{n}", **source, **({} if "wire" in source else {"body": draw(BODY)})}
            for n, source in enumerate(sources)
        ],
        "autoscaler": autoscaler,
        "faults": waiters,
        "versions": DEPLOYED,
        "deploys": [
            {"name": f"deploy{n}", **deploy} for n, deploy in enumerate(draw(st.lists(DEPLOY, max_size=2)))
        ],
    }
    made: dict[str, Any] = without_none(document)
    return made


@st.composite
def large_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Thousands of requests, tens of servers, hundreds of connections: what fills queues, tables and windows.

    Closed clients think: two hundred that fail at once and never wait would make six million requests."""
    document = draw(documents())
    app, proxy = document["fleet"]["app"], document["fleet"]["proxy"]
    app.update(initial=draw(st.integers(5, 40)), max=60, workers=draw(st.integers(1, 8)))
    app.pop("memory", None)
    app.pop("on_low_memory", None)
    for limit in ("memory", "max_connections", "circuit_breaker"):
        if draw(st.booleans()):
            proxy.pop(limit, None)
    proxy["cpu_per_request"] = draw(st.sampled_from([0, "50us"]))
    rate = draw(st.integers(500, 3000))
    document["duration"] = "3s"
    document["traffic"] = [
        {"name": "crowd", "stages": [{"for": "1s", "rate": f"{rate}/s"}, {"for": "2s", "to": "10/s"}], "client": draw(CLIENT)},
        {"name": "closed", "closed": {"concurrency": draw(st.integers(1, 200)), "think": {"exponential": {"mean": "20ms"}}}, "client": draw(CLIENT)},
        {"name": "monkey", "flood": {"stages": [{"for": "2s", "rate": f"{rate // 2}/s"}], "connections": draw(st.integers(1, 900))}},
    ][: draw(st.integers(1, 3))]  # fmt: skip
    made: dict[str, Any] = without_none(document)
    return made


@st.composite
def busy_documents(draw: st.DrawFn) -> dict[str, Any]:
    """A few servers with much under way, for what happens to them: what :func:`documents` says, with steady traffic."""
    document = draw(documents())
    app, proxy = document["fleet"]["app"], document["fleet"]["proxy"]
    app.update(
        initial=draw(st.integers(2, 4)), canaries=draw(st.integers(0, 2)), workers=draw(st.integers(2, 4))
    )
    for limit in ("memory", "max_connections", "circuit_breaker"):
        proxy.pop(limit, None)
    rate = f"{draw(st.integers(80, 250))}/s"
    steady = {"name": "steady", "stages": [{"for": "4s", "rate": rate}], "client": draw(CLIENT)}
    document.update(duration="4s", traffic=[without_none(steady), *document["traffic"][:1]])
    return document


@st.composite
def hostile_documents(draw: st.DrawFn) -> dict[str, Any]:
    """What :func:`documents` says, with exact bytes among other traffic."""
    document = draw(documents())
    wires = [{"name": f"wire{n}", **draw(WIRE)} for n in range(draw(st.integers(1, 2)))]
    document["traffic"] = [*map(without_none, wires), *document["traffic"][:1]]
    return document


@st.composite
def linked_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Few servers over bad links with something to carry: what :func:`busy_documents` says, where the proxy's limits may stay."""
    document = draw(st.one_of(busy_documents(), documents()))
    for endpoint in document["endpoints"]:
        endpoint["response_size"] = draw(st.sampled_from(["0B", "600B", "40KB"]))
    faults = draw(st.lists(LINK_FAULT, min_size=1, max_size=4))
    document["faults"] = [{"name": f"link{n}", **fault} for n, fault in enumerate(faults)]
    made: dict[str, Any] = without_none(document)
    return made


MIB = 1 << 20
VERSION = st.builds(
    VersionSpec,
    name=st.sampled_from(["1", "2", "bad"]),
    cpu_factor=st.sampled_from([1.0, 0.5, 3.0]),
    error_share=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    error_status=st.sampled_from([500, 503]),
    memory=st.sampled_from(
        [None, None, Memory(base=10 * MIB, each=9 * MIB), Memory(base=90 * MIB, leak=MIB // 4)]
    ),
    boot_time=st.sampled_from([None, constant(300_000_000)]),
    crash_after=st.sampled_from([NONE, NONE, NONE, NONE, 0, 400_000_000, 1_500_000_000]),
)
"""A version of the app servers."""

SOUND = st.builds(VersionSpec, name=st.just("1"), cpu_factor=st.sampled_from([1.0, 2.0]))
VERSIONS = st.tuples(SOUND, st.one_of(SOUND, VERSION), VERSION)
"""What runs at the start works."""

RARE = ("share", "release", "launch", "updating", "terminate")
OFTEN = ("drain", "update", "update", "update", "update", "register", "register", "register")
STEPS = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.sampled_from(RARE + OFTEN),
        st.integers(0, 7),
        st.integers(0, 2),
        st.sampled_from([0, 0, 3, 20, 300, 1000]),
    ),
    min_size=6,
    max_size=30,
)
"""Steps of a deploy (tests.sim.deploying), sensible or not."""
