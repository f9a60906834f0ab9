"""All rules, and the hints that they give of a run."""

from collections.abc import Callable, Iterable

from ...evidence import Evidence
from ...facts import Facts
from . import failing, late, memory, proxy, retries, samples, shares, sizing, slowest, slowing, spread
from .hint import Hint, in_order
from .scene import Scene

Rule = Callable[[Scene], Iterable[Hint]]

RULES: tuple[Rule, ...] = (
    slowing.server_slows, slowing.all_slow,
    slowest.queue_and_busy, slowest.queue_though_idle, slowest.cores_are_busy, slowest.proxy_is_the_neck, slowest.dependencies_are_slow,
    slowest.pool_is_small, slowest.retries_take_the_time,
    proxy.proxy_close_to_its_limits, proxy.syns_are_dropped, proxy.descriptors_run_out, proxy.proxy_memory_runs_out, proxy.proxy_was_down,
    retries.retries_amplify, retries.storm_outlives,
    late.scale_out_late, late.scale_out_missing,
    sizing.policy_oscillates, sizing.scaled_in_too_early, sizing.over_provisioned, sizing.fleet_is_capped, sizing.scale_in_loses, sizing.short_lives,
    failing.dead_stay_listed, failing.nobody_served, failing.queues_overflow, failing.cap_sheds, failing.queue_full_while_idle,
    failing.server_fails_more, failing.timeout_too_short, failing.health_flaps, failing.most_are_out,
    memory.servers_run_out_of_memory, memory.memory_grows, memory.memory_is_short,
    spread.load_is_uneven, spread.nobody_routes_to, spread.gone_are_routed_to,
    samples.clock_is_off, samples.samples_are_old,
    shares.endpoint_dominates, shares.source_dominates, shares.dependency_saturated,
)  # fmt: skip
"""In no order that matters; each says in its docstring when it speaks, and docs/hints.md lists them all."""


def hints(evidence: Evidence, facts: Facts | None = None) -> tuple[Hint, ...]:
    """The hints of a run, also of a partial one: the most severe first, then by time. *facts*: its figures, if they are there already."""
    scene = Scene(evidence, facts)
    return in_order([hint for rule in RULES for hint in rule(scene)])
