"""Random faults, and what they wait for."""

from typing import Any

from hypothesis import strategies as st
from windtunnel.core.faults import FAULTS

from .values import durations, optional

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
