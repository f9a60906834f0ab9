"""The proxy's back (see sim.forwarding): routing, upstream tries, health, ejection."""

from ...core import draws, table
from ...core.admission import fits_descriptors
from ...core.closing import check_time
from ...core.demand import cpu_demand, io_demand
from ...core.draws import draw
from ...core.health import breaker, check, record_result, uneject
from ...core.load_index import load_changed
from ...core.network import link_delay
from ...core.order import Kind, major_key
from ...core.outcomes import Outcome
from ...core.routing import SHED as ALL_AT_CAP
from ...core.routing import needs_bits, observe_latency, route, wanted_role
from ...core.tallies import count_try
from ...core.toxics import UPSTREAM, disturbance
from .agenda import UPSTREAM_RING, schedule, set_timer, under_way
from .content import content
from .layout import (
    BREAKER_CLOSED,
    BREAKER_OPENED,
    EJECTED,
    HEALTHY,
    UNEJECTED,
    UNHEALTHY,
    World,
)
from .links import carry_job, end_upstream_late, watch_try
from .log import note
from .routine import routine, subroutine
from .slots import take_job

SERVING = table.SERVING

NO_SERVER = int(Outcome.NO_SERVER)
SHED = int(Outcome.SHED)
CONNECT_FAILED = int(Outcome.CONNECT_FAILED)

APP_ARRIVE = int(Kind.APP_ARRIVE)
UNEJECT = int(Kind.UNEJECT)

ROUTE = draws.ROUTE
TRY = draws.TRY
UPSTREAM_LATENCY = draws.UPSTREAM_LATENCY


@subroutine
def forget(w: World) -> None:
    """An empty table and fresh counters: the process is gone."""
    s = w.state[0]
    s["table_rows"] = 0
    s["active"] = 0
    s["retrying"] = 0
    s["sequence"] = 0
    s["last_serving"] = 0
    s["last_canary"] = 0
    for number in range(len(w.apps)):
        w.apps[number]["slot"] = -1
    for place in range(len(w.tallies)):
        w.tallies[place] = 0


@subroutine
def forward(w: World, a: int, role: int, exclude: int) -> int:
    """Send attempt *a* to a server of *role*; the outcome that prevents it, or 0."""
    s, spec = w.state[0], w.config[0]
    attempt = w.attempts[a]
    now, number = s["now"], attempt["number"]
    stream, index = attempt["stream"], attempt["index"]
    bits = 0
    if needs_bits(spec["routing"], spec["slow_start"]):
        bits = draw(stream, index, number, ROUTE + TRY * attempt["tries"])
    if role == SERVING:
        last, last_other = s["last_serving"], s["last_canary"]
    else:
        last, last_other = s["last_canary"], s["last_serving"]
    slot = route(
        spec["routing"], w.servers, w.load, s["table_rows"], role, spec["max_in_flight"], spec["slow_start"], now,
        bits, exclude, last, last_other, affinity(w, a),
    )  # fmt: skip
    if slot < 0:
        return SHED if slot == ALL_AT_CAP else NO_SERVER
    if not fits_descriptors(s["descriptors"], spec["max_connections"]):
        return CONNECT_FAILED
    s["descriptors"] += 1
    chosen = w.servers[slot]
    server = chosen["id"]
    if chosen["role"] == SERVING:
        s["last_serving"] = server
    else:
        s["last_canary"] = server
    chosen["in_flight"] += 1
    changed(w, slot)
    if attempt["tries"] > 0:
        attempt["arrived"] = -1
        attempt["started"] = -1
        attempt["cpu_done"] = -1
        attempt["served"] = -1
    attempt["server"] = server
    attempt["tries"] += 1
    attempt["upstream"] = 1
    attempt["sent_upstream"] = now
    if spec["upstream_timeout"] >= 0:
        set_timer(w, UPSTREAM_RING, now + spec["upstream_timeout"], a, attempt["minor"] | attempt["tries"])
    send_job(w, a)
    return 0


@routine
def affinity(w: World, a: int) -> int:
    """What consistent hashing hashes: the client's address, here its connection."""
    connection = w.connections[w.attempts[a]["connection"]]
    if connection["slot"] >= 0:
        return int((connection["source"] << 20) + connection["slot"])
    return int(connection["id"])


@routine
def send_job(w: World, a: int) -> None:
    """The attempt becomes a job on its way to its server."""
    attempt = w.attempts[a]
    number, stream, index = attempt["number"], attempt["stream"], attempt["index"]
    slot = take_job(w)
    j = w.jobs[slot]
    j["attempt"] = a
    j["tries"] = attempt["tries"]
    j["stream"] = stream
    j["index"] = index
    j["number"] = number
    j["minor"] = attempt["minor"] | attempt["tries"]
    j["endpoint"] = attempt["endpoint"]
    j["cpu"] = attempt["cpu"]
    j["io"] = attempt["io"]
    if number > 1:
        e = w.endpoints[attempt["endpoint"]]
        j["cpu"] = cpu_demand(e["cpu_kind"], e["cpu_a"], e["cpu_b"], stream, index, number)
        j["io"] = 0
        if e["io"] == 1:
            j["io"] = io_demand(e["io_kind"], e["io_a"], e["io_b"], stream, index, number)
    j["call"] = 0
    j["error"] = 0
    j["body"] = content(w, a)
    j["server"] = attempt["server"]
    j["refs"] = 1
    s = w.state[0]
    time = s["now"] + job_delay(w, slot, UPSTREAM_LATENCY)
    if s["toxics"] == 1:
        watch_try(w, a)
        carry_job(w, slot, UPSTREAM, APP_ARRIVE, UPSTREAM_LATENCY, j["body"], time)
    else:
        schedule(w, time, major_key(APP_ARRIVE, j["server"]), j["minor"], slot)


@routine
def job_delay(w: World, slot: int, purpose: int) -> int:
    """A message's time between proxy and app server."""
    j, spec, s = w.jobs[slot], w.config[0], w.state[0]
    stream, index, number = j["stream"], j["index"], j["number"]
    purpose += TRY * j["tries"]
    time = link_delay(spec["upstream_latency"], spec["upstream_jitter"], stream, index, number, purpose)
    if s["toxics"] == 1:
        time += disturbance(w.toxics, j["server"], s["now"], stream, index, number, purpose)
    return time


@routine
def current(w: World, slot: int) -> bool:
    """Whether the proxy still waits for this very try."""
    j = w.jobs[slot]
    return under_way(w, j["attempt"], j["minor"])


@routine
def route_attempt(w: World, a: int) -> int:
    """The proxy has read the request: it is sent to a server; the outcome that prevents it, or 0."""
    s = w.state[0]
    w.attempts[a]["routed"] = s["now"]
    s["sequence"] += 1
    return forward(w, a, wanted_role(s["sequence"], s["share_numerator"], s["share_denominator"]), 0)


@routine
def leave(w: World, a: int) -> None:
    """The attempt is under way no more."""
    s, attempt = w.state[0], w.attempts[a]
    s["active"] -= 1
    if attempt["retrying"] == 1:
        attempt["retrying"] = 0
        s["retrying"] -= 1


@subroutine
def abandon(w: World, a: int) -> None:
    """The client is gone: nobody waits for attempt *a* any more. The app server goes on all the same."""
    leave(w, a)
    if disown(w, a):
        slot = w.apps[w.attempts[a]["server"]]["slot"]
        w.servers[slot]["in_flight"] -= 1
        changed(w, slot)
        count(w, a, slot, True)


@routine
def disown(w: World, a: int) -> bool:
    """Close the upstream connection of attempt *a*; whether there was one."""
    attempt = w.attempts[a]
    if attempt["upstream"] == 0:
        return False
    attempt["upstream"] = 0
    end_upstream(w, a)
    return True


@routine
def end_upstream(w: World, a: int) -> None:
    """Close the upstream connection of attempt *a*."""
    s = w.state[0]
    if s["toxics"] == 1:
        end_upstream_late(w, a)
    else:
        s["descriptors"] -= 1


@subroutine
def end_try(w: World, a: int, failed: bool) -> None:
    """The proxy waits for this try no more."""
    s, spec = w.state[0], w.config[0]
    attempt = w.attempts[a]
    now = s["now"]
    attempt["upstream"] = 0
    end_upstream(w, a)
    server = attempt["server"]
    slot = w.apps[server]["slot"]
    assert slot >= 0, "a server left the table with requests in flight"
    w.servers[slot]["in_flight"] -= 1
    assert w.servers[slot]["in_flight"] >= 0, "more answers than requests"
    changed(w, slot)
    count(w, a, slot, failed)
    if not failed:
        observe_latency(w.servers, slot, now, now - attempt["sent_upstream"])
    if spec["consecutive_5xx"] < 0:
        return
    until = record_result(
        w.servers, s["table_rows"], slot, failed, now, spec["consecutive_5xx"], spec["base_ejection_time"],
        spec["max_ejection_percent"],
    )  # fmt: skip
    if until > 0:
        load_changed(w.servers, w.load, slot)
        note(w, EJECTED, server, until, 0)
        schedule(w, until, major_key(UNEJECT, server), 0, server)


@routine
def count(w: World, a: int, slot: int, failed: bool) -> None:
    """The try of attempt *a* at the server in *slot* has ended."""
    if w.config[0]["tallies"] == 1:
        took = w.state[0]["now"] - w.attempts[a]["sent_upstream"]
        count_try(w.tallies, w.servers[slot]["role"], took, failed)


@subroutine
def end_ejection(w: World, server: int) -> None:
    """An ejection may be over."""
    slot = w.apps[server]["slot"]
    if slot >= 0 and uneject(w.servers, slot, w.state[0]["now"]):
        load_changed(w.servers, w.load, slot)
        note(w, UNEJECTED, server, 0, 0)


@routine
def changed(w: World, slot: int) -> None:
    """A server has more or fewer requests in flight."""
    load_changed(w.servers, w.load, slot)
    cap = w.config[0]["max_in_flight"]
    if cap < 0:
        return
    row = w.servers[slot]
    opened = breaker(row["breaker"], row["in_flight"], cap)
    if opened != row["breaker"]:
        row["breaker"] = opened
        note(w, BREAKER_OPENED if opened == 1 else BREAKER_CLOSED, row["id"], 0, 0)


@subroutine
def check_health(w: World) -> None:
    """One round of active checks of all listed servers."""
    s, spec = w.state[0], w.config[0]
    s["budget"] = 0
    for slot in range(s["table_rows"]):
        if w.servers[slot]["listed"] == 0:
            continue
        server = w.servers[slot]["id"]
        round_trip = check_time(spec["upstream_latency"], w.toxics, server, s["now"])
        answers = w.apps[server]["alive"] == 1 and w.apps[server]["pauses"] == 0
        passed = answers and round_trip <= spec["health_timeout"]
        change = check(w.servers, slot, passed, spec["healthy_threshold"], spec["unhealthy_threshold"])
        if change != 0:
            load_changed(w.servers, w.load, slot)
            note(w, HEALTHY if change > 0 else UNHEALTHY, server, 0, 0)
