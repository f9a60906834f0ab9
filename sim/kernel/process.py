"""An app server's process as a whole (see sim.appserver): its memory, its CPU time, its end and what that means for jobs."""

from ...core import draws
from ...core.appserver import memory_used, out_of_memory
from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from .agenda import schedule
from .forwarding import job_delay
from .host import clock, find_burst, set_alarm, withdraw
from .layout import LOST, OUT_OF_MEMORY, World
from .log import note
from .routine import routine, subroutine

UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
CONNECT_FAILED = int(Outcome.CONNECT_FAILED)

UPSTREAM_FAILURE = int(Kind.UPSTREAM_FAILURE)
APP_ARRIVE = int(Kind.APP_ARRIVE)
CPU_DONE = int(Kind.CPU_DONE)

ANSWER_LATENCY = draws.ANSWER_LATENCY


@subroutine
def fail(w: World, slot: int, outcome: int) -> None:
    """The proxy will learn that there is no answer; the news takes over a reference to the job."""
    j = w.jobs[slot]
    j["outcome"] = outcome
    j["status"] = 502
    time = w.state[0]["now"] + job_delay(w, slot, ANSWER_LATENCY)
    schedule(w, time, major_key(UPSTREAM_FAILURE, j["server"]), j["minor"], slot)


@routine
def memory(w: World, server: int) -> int:
    """Bytes in use."""
    app = w.apps[server]
    used = memory_used(app["base"], app["each"], app["jobs"], app["bodies"], app["leak"], app["served"])
    return int(used + app["leaked"])


@routine
def account(w: World, server: int) -> None:
    """Bring the CPU time used up to now."""
    app, attained = w.apps[server], clock(w)
    if app["pauses"] == 0:
        app["cpu_used"] += app["cores_busy"] * (attained - app["cpu_since"])
    app["cpu_since"] = attained


@routine
def is_lost(w: World, slot: int) -> bool:
    """Whether the process that the job was with is gone."""
    j = w.jobs[slot]
    app = w.apps[j["server"]]
    return bool(app["alive"] == 0 or app["starts"] != j["start"])


@subroutine
def leak(w: World, server: int, size: int) -> None:
    """So many bytes are lost."""
    w.apps[server]["leaked"] += size
    if out_of_memory(memory(w, server), w.config[0]["app_total"]):
        die(w, server)


@subroutine
def die(w: World, server: int) -> None:
    """The kernel kills the process."""
    s = w.state[0]
    used = memory(w, server)
    lost = stop(w, server)
    note(w, OUT_OF_MEMORY, server, used, lost)
    s["signal"] = LOST


@subroutine
def stop(w: World, server: int) -> int:
    """The process ends at once; how many requests it had in flight.

    A job that waits in the server, or is parked there, keeps one reference, for the news; one that an event or a dependency holds gets a second.
    """
    app = w.apps[server]
    account(w, server)
    app["alive"] = 0
    w.state[0]["budget"] = 0
    slot = app["jobs_head"]
    while slot >= 0:
        w.jobs[slot]["refs"] += 1
        slot = w.jobs[slot]["newer"]
    slot = app["parked_head"]
    while slot >= 0:
        following = w.jobs[slot]["next"]
        if w.jobs[slot]["parked"] == APP_ARRIVE:
            fail(w, slot, CONNECT_FAILED)
        else:
            w.jobs[slot]["refs"] -= 1
        slot = following
    app["parked_head"] = -1
    place = find_burst(w, major_key(CPU_DONE, server))
    while place >= 0:
        w.jobs[withdraw(w, place)]["refs"] -= 1
        place = find_burst(w, major_key(CPU_DONE, server))
    set_alarm(w)
    for head in (app["queue_head"] if app["queue_length"] > 0 else -1, app["run_head"]):
        slot = head
        while slot >= 0:
            w.jobs[slot]["refs"] -= 1
            slot = w.jobs[slot]["next"]
    slot = app["jobs_head"]
    while slot >= 0:
        following = w.jobs[slot]["newer"]
        fail(w, slot, UPSTREAM_RESET)
        slot = following
    lost = int(app["jobs"])
    app["jobs"] = 0
    app["bodies"] = 0
    app["jobs_head"] = -1
    app["queue_length"] = 0
    app["run_head"] = -1
    app["busy"] = 0
    app["cores_busy"] = 0
    return lost
