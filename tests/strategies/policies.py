"""Random scaling policies, and autoscalers around them."""

from typing import Any

from hypothesis import strategies as st

from .values import optional

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
