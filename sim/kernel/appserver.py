"""The app servers (see sim.appserver)."""

from ...core import draws
from ...core.appserver import (
    REJECT,
    START,
    admit_request,
    fails_early,
    held_after,
    out_of_memory,
    slowed,
)
from ...core.draws import draw
from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from ...core.toxics import DOWNSTREAM
from .agenda import schedule
from .forwarding import current, job_delay
from .host import compute, find_burst, set_alarm, time_left, withdraw
from .layout import World
from .links import carry_job
from .process import account, die, fail, is_lost, memory
from .routine import routine, subroutine
from .slots import drop_job, next_job, queue_job

OK = int(Outcome.OK)
APP_ERROR = int(Outcome.APP_ERROR)
QUEUE_FULL = int(Outcome.QUEUE_FULL)
CONNECT_FAILED = int(Outcome.CONNECT_FAILED)

ANSWER = int(Kind.ANSWER)
APP_ARRIVE = int(Kind.APP_ARRIVE)
CPU_DONE = int(Kind.CPU_DONE)
IO_DONE = int(Kind.IO_DONE)
DEPENDENCY_CALL = int(Kind.DEPENDENCY_CALL)

ERROR = draws.ERROR
TRY = draws.TRY
ANSWER_LATENCY = draws.ANSWER_LATENCY


@routine
def answer(w: World, slot: int, outcome: int, status: int) -> None:
    """An app server's answer leaves for the proxy; it takes over a reference to the job."""
    j = w.jobs[slot]
    j["outcome"] = outcome
    j["status"] = status
    s = w.state[0]
    time = s["now"] + job_delay(w, slot, ANSWER_LATENCY)
    if s["toxics"] == 1:
        size = w.endpoints[j["endpoint"]]["size"] if outcome in (OK, APP_ERROR) else 0
        carry_job(w, slot, DOWNSTREAM, ANSWER, ANSWER_LATENCY, size, time)
    else:
        schedule(w, time, major_key(ANSWER, j["server"]), j["minor"], slot)


@routine
def arrive(w: World, slot: int) -> None:
    """A request arrives at an instance, whether or not anybody listens there."""
    j, spec = w.jobs[slot], w.config[0]
    server = j["server"]
    app = w.apps[server]
    if app["alive"] == 0:
        fail(w, slot, CONNECT_FAILED)
        return
    if app["pauses"] > 0:
        park(w, slot, APP_ARRIVE, 0)
        return
    app["requests"] += 1
    j["start"] = app["starts"]
    if current(w, slot):
        w.attempts[j["attempt"]]["arrived"] = w.state[0]["now"]
    verdict = admit_request(app["busy"], spec["workers"], app["queue_length"], spec["queue"])
    if verdict == REJECT:
        answer(w, slot, QUEUE_FULL, 503)
        return
    enter(w, server, slot)
    if out_of_memory(memory(w, server), spec["app_total"]):
        die(w, server)
        drop_job(w, slot)
    elif verdict == START:
        start_job(w, server, slot)
    else:
        queue_job(w, app, slot)


@routine
def enter(w: World, server: int, slot: int) -> None:
    """The job is in flight at the server."""
    app, j = w.apps[server], w.jobs[slot]
    app["jobs"] += 1
    app["bodies"] += j["body"]
    j["older"] = -1
    j["newer"] = app["jobs_head"]
    if app["jobs_head"] >= 0:
        w.jobs[app["jobs_head"]]["older"] = slot
    app["jobs_head"] = slot


@routine
def leave_server(w: World, server: int, slot: int) -> None:
    """The job is in flight at the server no more."""
    app, j = w.apps[server], w.jobs[slot]
    app["jobs"] -= 1
    app["bodies"] -= j["body"]
    if j["older"] < 0:
        app["jobs_head"] = j["newer"]
    else:
        w.jobs[j["older"]]["newer"] = j["newer"]
    if j["newer"] >= 0:
        w.jobs[j["newer"]]["older"] = j["older"]


@routine
def start_job(w: World, server: int, slot: int) -> None:
    """A worker takes the job."""
    app, j, spec = w.apps[server], w.jobs[slot], w.config[0]
    app["busy"] += 1
    assert app["busy"] <= spec["workers"], "more busy workers than workers"
    if current(w, slot):
        w.attempts[j["attempt"]]["started"] = w.state[0]["now"]
    if app["error_share"] > 0.0:
        bits = draw(j["stream"], j["index"], j["number"], ERROR + TRY * j["tries"])
        if fails_early(app["error_share"], bits):
            j["error"] = app["error_status"]
    if app["cores_busy"] < spec["cores"]:
        run(w, server, slot)
    else:
        j["next"] = -1
        if app["run_head"] < 0:
            app["run_head"] = slot
        else:
            w.jobs[app["run_tail"]]["next"] = slot
        app["run_tail"] = slot


@subroutine
def run(w: World, server: int, slot: int) -> None:
    """A core takes the job."""
    account(w, server)
    app, j = w.apps[server], w.jobs[slot]
    app["cores_busy"] += 1
    j["frozen"] = app["frozen"]
    demand = slowed(j["cpu"], app["slow"]) if j["error"] == 0 else 0
    compute(w, demand, major_key(CPU_DONE, server), j["minor"], slot)


@routine
def cpu_done(w: World, slot: int) -> None:
    """The job's CPU time is served."""
    j = w.jobs[slot]
    server = j["server"]
    app = w.apps[server]
    if is_lost(w, slot):
        drop_job(w, slot)
        return
    now = w.state[0]["now"]
    owed = app["frozen"] - j["frozen"]
    if app["pauses"] > 0:
        park(w, slot, CPU_DONE, now - app["paused_at"] + owed)
        return
    if owed > 0:
        j["frozen"] = app["frozen"]
        compute(w, owed, major_key(CPU_DONE, server), j["minor"], slot)
        return
    account(w, server)
    app["cores_busy"] -= 1
    if app["run_head"] >= 0:
        following = app["run_head"]
        app["run_head"] = w.jobs[following]["next"]
        run(w, server, following)
    if current(w, slot):
        w.attempts[j["attempt"]]["cpu_done"] = now
    waits = w.endpoints[j["endpoint"]]["io"] == 1
    overhead = held_after(j["cpu"], w.config[0]["cpu_overhead"])
    if (waits or overhead > 0) and j["error"] == 0:
        time = now + overhead + (j["io"] + w.config[0]["timer_slack"] if waits else 0)
        schedule(w, time, major_key(IO_DONE, server), j["minor"], slot)
    else:
        call_next(w, slot)


@subroutine
def io_done(w: World, slot: int) -> None:
    """The job has waited for its io, or for a dependency. One that its server's process has lost is of no concern to the next process there."""
    app = w.apps[w.jobs[slot]["server"]]
    if is_lost(w, slot):
        drop_job(w, slot)
    elif app["pauses"] > 0:
        park(w, slot, IO_DONE, 0)
    else:
        call_next(w, slot)


@subroutine
def call_next(w: World, slot: int) -> None:
    """The job calls its next dependency, or is done."""
    j = w.jobs[slot]
    e = w.endpoints[j["endpoint"]]
    if j["error"] > 0:
        finish_job(w, slot, APP_ERROR, j["error"])
    elif j["call"] == e["calls"]:
        finish_job(w, slot, APP_ERROR if e["status"] >= 500 else OK, e["status"])
    else:
        dependency = w.calls[e["calls_from"] + j["call"]]
        time = w.state[0]["now"] + w.dependencies[dependency]["round_trip"]
        schedule(w, time, major_key(DEPENDENCY_CALL, dependency), j["minor"], slot)


@subroutine
def finish_job(w: World, slot: int, outcome: int, status: int) -> None:
    """The answer leaves, the worker is free."""
    j, app = w.jobs[slot], w.apps[w.jobs[slot]["server"]]
    server = j["server"]
    if current(w, slot):
        w.attempts[j["attempt"]]["served"] = w.state[0]["now"]
    leave_server(w, server, slot)
    app["busy"] -= 1
    app["served"] += 1
    answer(w, slot, outcome, status)
    if out_of_memory(memory(w, server), w.config[0]["app_total"]):
        die(w, server)
    elif app["queue_length"] > 0:
        start_job(w, server, next_job(w, app))


@subroutine
def called(w: World, slot: int, succeeded: bool) -> None:
    """A dependency has answered, or refused."""
    j = w.jobs[slot]
    j["call"] += 1
    if not succeeded:
        j["error"] = 500
    io_done(w, slot)


@subroutine
def take_samples(w: World) -> int:
    """What the monitors of all servers see goes to ``samples``, in their order; counters start anew. How many servers there are."""
    count = 0
    for server in range(len(w.apps)):
        app = w.apps[server]
        if app["alive"] == 0:
            continue
        account(w, server)
        row = w.samples[count]
        row["server"] = server
        row["requests"] = app["requests"]
        row["in_flight"] = app["jobs"]
        row["queued"] = app["queue_length"]
        row["memory"] = memory(w, server)
        row["cpu_ns"] = app["cpu_used"]
        app["requests"] = 0
        app["cpu_used"] = 0
        count += 1
    return count


# What goes wrong with it.


@subroutine
def park(w: World, slot: int, kind: int, left: int) -> None:
    """A paused server's event has come: it will be due *left* ns after the pause. The list takes over the event's reference."""
    j = w.jobs[slot]
    app = w.apps[j["server"]]
    j["parked"] = kind
    j["left"] = left
    j["next"] = app["parked_head"]
    app["parked_head"] = slot


@subroutine
def pause(w: World, server: int) -> None:
    """Everything stands still."""
    account(w, server)
    app = w.apps[server]
    app["pauses"] += 1
    if app["pauses"] > 1:
        return
    app["paused_at"] = w.state[0]["now"]
    place = find_burst(w, major_key(CPU_DONE, server))
    while place >= 0:
        left = time_left(w, place)
        park(w, withdraw(w, place), CPU_DONE, left)
        place = find_burst(w, major_key(CPU_DONE, server))
    set_alarm(w)


@subroutine
def resume(w: World, server: int) -> None:
    """What fell due meanwhile is due now, CPU work after what is left of it."""
    account(w, server)
    s, app = w.state[0], w.apps[server]
    app["pauses"] -= 1
    if app["pauses"] > 0:
        return
    s["budget"] = 0
    app["frozen"] += s["now"] - app["paused_at"]
    slot = app["parked_head"]
    app["parked_head"] = -1
    while slot >= 0:
        j = w.jobs[slot]
        following = j["next"]
        j["frozen"] = app["frozen"]
        compute(w, j["left"], major_key(j["parked"], server), j["minor"], slot)
        slot = following
