"""A turn of the autoscaler in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.limits import BACKING_OFF, BACKOFF, COOLDOWN, COST, MAXIMUM, MINIMUM
from ..core.model import AutoscalerSpec
from ..core.records import METRICS, figures_of
from ..core.scaling_decision import NO_LEASE, REFUSED, UNREACHABLE
from .wording import duration, plural, share

Row = Mapping[str, Any]

REASONS = {
    "requests_high": "a server was at or above the high mark of requests",
    "memory_high": "a server was at or above the high mark of memory",
    "idle": "all servers were at or below the low marks",
    "booting": "a server was still booting",
    "no servers": "there was no server",
    "unknown": "samples were missing",
    "within": "what it looks at was where it should be",
    "above target": "the average was above the target",
    "below target": "the average was below the target",
    "insufficient data": "its alarms had too few data",
    "warming up": "new servers were warming up",
    "panic": "the load of the last seconds was far above the target",
    "scheduled size": "its schedule said so",
    "within schedule": "the size was within its schedule",
    "scale-out stabilized": "it keeps to the lowest size asked for of late",
    "scale-in stabilized": "it keeps to the highest size asked for of late",
    "scale-out limited": "it adds no more at once",
    "scale-in limited": "it removes no more at once",
    "at maximum": "the fleet was at its maximum",
    "at minimum": "the fleet was at its minimum",
    "at cost cap": "the cap on cost paid for no more",
    "above cost cap": "the fleet cost more than the cap",
    BACKING_OFF: "the cloud had refused a launch, and it was too early to ask again",
    "below minimum": "the fleet was below its minimum",
    "above maximum": "the fleet was above its maximum",
}
"""What the reasons of policies mean; one that is not here is quoted."""

_UNDECIDED = {
    UNREACHABLE: "the registry could not be reached",
    REFUSED: "the cloud did not answer what is there",
    NO_LEASE: "another autoscaler, or a dead one, held the lease",
}


def undecided(reason: str) -> str:
    """Why a turn decided nothing, as a clause."""
    return _UNDECIDED.get(reason, reason)


def because(reason: str) -> str:
    """A policy's reason as a clause."""
    return REASONS.get(reason, f"its reason was {reason!r}")


def limit_words(limits: str, spec: AutoscalerSpec) -> str:
    """``the maximum is 6 and the cooldown of 30 s was not over``."""
    words = {
        MINIMUM: f"the minimum is {spec.minimum}",
        MAXIMUM: f"the maximum is {spec.maximum}",
        COST: f"the cap on cost pays for {plural(spec.affordable, 'instance')} at a time, draining ones among them",
        BACKOFF: "the cloud had refused a launch, and it was too early to ask again",
        COOLDOWN: f"the cooldown of {duration(spec.cooldown)} was not over",
    }
    return " and ".join(words.get(limit, limit) for limit in limits.split())


def amount(metric: str, value: float) -> str:
    """A metric's value with its unit."""
    if metric == "requests":
        return f"{value:.4g}/s" if value < 10_000 else f"{value:.0f}/s"
    return share(value) if metric in ("memory", "cpu") else f"{value:.4g}"


def metrics_words(seen: Sequence[Row], spec: AutoscalerSpec) -> str:
    """What the policy compares, over the servers, and with what: ``requests 310/s to 352/s; high 350/s``. Empty if it compares nothing."""
    servers = [row for row in seen if row["requests"] is not None]
    custom = {name for row in servers for name in figures_of(row["custom"])}
    parts = []
    for metric in (*METRICS, *sorted(custom)):
        marks = spec.policy.marks(metric)
        values = sorted(_values(servers, metric))
        if not marks or not values:
            continue
        low, high = amount(metric, values[0]), amount(metric, values[-1])
        spread = low if low == high else f"{low} to {high}"
        named = ", ".join(f"{name} {amount(metric, value)}" for value, name in marks)
        parts.append(f"{metric} {spread} a server; {named}")
    return "; ".join(parts)


def _values(servers: Sequence[Row], metric: str) -> list[float]:
    if metric in METRICS:
        return [row[metric] for row in servers]
    found = [figures_of(row["custom"]) for row in servers]
    return [figures[metric] for figures in found if metric in figures]


def fleet_words(row: Row) -> str:
    """``3 servers (2 serving, 1 booting)``."""
    size = row["serving"] + row["booting"]
    parts = f" ({row['serving']} serving, {row['booting']} booting)" if row["booting"] else ""
    return f"{plural(size, 'server')}{parts}" if size else "no server"


def done_words(row: Row) -> str:
    """What was done, or would have been."""
    if not row["actions"]:
        return "nothing to do"
    verb = "not done, for it is a dry run" if row["dry_run"] else "done"
    return f"{verb}: {row['actions']}"


def figures_words(text: str) -> str:
    """A column of figures: ``average 80.2, ratio 1.34``."""
    return ", ".join(f"{name} {value:.4g}" for name, value in figures_of(text).items())
