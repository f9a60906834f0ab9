"""The dependencies (see sim.dependency)."""

from ...core import draws
from ...core.appserver import REJECT, START, admit_request, cache_hit, slowed
from ...core.distributions import sample
from ...core.draws import below_again, draw, uniform
from ...core.order import Kind, major_key
from .agenda import schedule
from .appserver import called
from .layout import World
from .process import is_lost
from .routine import routine, subroutine
from .slots import drop_job, next_job, queue_job

DEPENDENCY_DONE = int(Kind.DEPENDENCY_DONE)

CALL = draws.CALL
TRY = draws.TRY


@subroutine
def call(w: World, number: int, slot: int) -> None:
    """A call arrives at dependency *number*."""
    dependency = w.dependencies[number]
    entry = cache_entry(w, number, slot)
    w.jobs[slot]["entry"] = entry
    if entry >= 0 and cache_hit(w.filled[dependency["filled_from"] + entry], w.state[0]["now"]):
        called(w, slot, True)
        return
    if dependency["down"] == 1:
        called(w, slot, False)
        return
    verdict = admit_request(
        dependency["busy"], dependency["concurrency"], dependency["queue_length"], dependency["queue"]
    )
    if verdict == REJECT:
        called(w, slot, False)
    elif verdict == START:
        serve(w, number, slot)
    else:
        queue_job(w, dependency, slot)


@routine
def call_bits(w: World, slot: int, which: int) -> int:
    """The bits for a job's current call."""
    j = w.jobs[slot]
    return draw(j["stream"], j["index"], j["number"], CALL + 2 * j["call"] + which + TRY * j["tries"])


@routine
def cache_entry(w: World, number: int, slot: int) -> int:
    """The cache entry that the call asks for, or -1."""
    dependency = w.dependencies[number]
    if dependency["cached"] == 0:
        return -1
    bits = call_bits(w, slot, 1)
    if uniform(bits) >= dependency["hit_share"]:
        return -1
    return below_again(bits, dependency["keys"])


@subroutine
def serve(w: World, number: int, slot: int) -> None:
    """The dependency takes the call."""
    dependency, j = w.dependencies[number], w.jobs[slot]
    dependency["busy"] += 1
    bits = call_bits(w, slot, 0)
    service = sample(dependency["service_kind"], dependency["service_a"], dependency["service_b"], bits)
    service = slowed(service, dependency["slow"]) + dependency["timer_slack"]
    schedule(w, w.state[0]["now"] + service, major_key(DEPENDENCY_DONE, number), j["minor"], slot)


@subroutine
def call_done(w: World, number: int, slot: int) -> None:
    """A call has been served."""
    dependency = w.dependencies[number]
    dependency["busy"] -= 1
    if dependency["down"] == 1:
        called(w, slot, False)
        return
    entry = w.jobs[slot]["entry"]
    if entry >= 0:
        w.filled[dependency["filled_from"] + entry] = w.state[0]["now"] + dependency["ttl"]
    while dependency["queue_length"] > 0 and dependency["busy"] < dependency["concurrency"]:
        following = next_job(w, dependency)
        if is_lost(w, following):
            drop_job(w, following)
        else:
            serve(w, number, following)
    called(w, slot, True)


@subroutine
def fail_waiting(w: World, number: int) -> None:
    """The dependency is down: what waits for it fails."""
    dependency = w.dependencies[number]
    w.state[0]["budget"] = 0
    while dependency["queue_length"] > 0:
        called(w, next_job(w, dependency), False)
