"""Planted weaknesses: scenarios with a switch between a weak and a sound setting, for ``windtunnel search``. docs/gallery.md says what each teaches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planted:
    """A member: its file's name; the ``--set`` texts that make it *sound*, for the file itself is weak."""

    name: str
    sound: tuple[str, ...]


GALLERY = (
    Planted(
        "retry-storm",
        ("traffic.users.client.retries.attempts=0", "fleet.proxy.retries={attempts: 2, budget: 20%}"),
    ),
    Planted("boot-delay-oscillation", ("autoscaler.policy.threshold.requests_low=15/s",)),
    Planted("missing-metrics", ("autoscaler.missing_samples=unknown",)),
    Planted("scale-in-kills", ("autoscaler.drain_timeout=30s",)),
    Planted("orphaned-instances", ("autoscaler.orphans=adopt",)),
    Planted("two-autoscalers", ("search.faults.kinds[0].attributes.lease=shared",)),
    Planted("cold-cache-stampede", ("fleet.dependencies.db.concurrency=8",)),
    Planted("socket-exhaustion", ("fleet.proxy.overload=evict",)),
    Planted("ejection-cascade", ("fleet.proxy.outlier_detection.max_ejection_percent=30%",)),
    Planted("throttled-cloud", ("fleet.app.standby=5",)),
    Planted(
        "canary-after-rollback",
        ("fleet.proxy.health_check={interval: 1s, timeout: 500ms, unhealthy_threshold: 2}",),
    ),
    Planted("counters-never-reset", ("autoscaler.policy.threshold.faults.counters_never_reset=false",)),
)
"""In the order of docs/gallery.md."""
