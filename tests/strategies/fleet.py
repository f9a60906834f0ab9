"""Random fleets: app servers, proxy, network, dependencies, the machine."""

from hypothesis import strategies as st

from .values import distributions, durations, optional

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


PROFILE = st.one_of(
    st.none(), st.none(), st.builds(lambda cores: {"host_cores": cores, "demand": "burn"}, st.integers(1, 5))
)
"""Sometimes a machine whose cores all share."""
