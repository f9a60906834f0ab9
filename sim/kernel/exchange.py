"""Where the proxy's two sides meet: a request is routed and answered, or tried again elsewhere."""

from ...core import table
from ...core.outcomes import Outcome
from ...core.retries import keeps_content, proxy_retries
from .agenda import under_way
from .clients import notice
from .connections import message_of
from .content import content
from .forwarding import current, end_try, forward, leave, route_attempt
from .layout import World
from .links import close_is_due, try_closes
from .proxy import client_close, respond
from .routine import routine, subroutine
from .slots import drop_connection, drop_job

OK = int(Outcome.OK)
NO_SERVER = int(Outcome.NO_SERVER)
SHED = int(Outcome.SHED)
UPSTREAM_TIMEOUT = int(Outcome.UPSTREAM_TIMEOUT)
CONNECT_FAILED = int(Outcome.CONNECT_FAILED)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
REFUSED = int(Outcome.REFUSED)
SERVING = table.SERVING


@routine
def route_request(w: World, a: int) -> None:
    """The proxy has read the request."""
    connection = w.connections[w.attempts[a]["connection"]]
    if connection["proxy_closed"] == 1 or connection["busy"] != a:
        return
    message = message_of(w, a)
    if message >= 0 and w.wires[message]["status"] > 0:
        leave(w, a)
        respond(w, a, w.wires[message]["outcome"], w.wires[message]["status"])
        return
    failure = route_attempt(w, a)
    if failure != 0:
        if failure in (NO_SERVER, SHED):
            w.state[0]["unserved"] += 1
        leave(w, a)
        respond(w, a, failure, 502 if failure == CONNECT_FAILED else 503)


@routine
def take_answer(w: World, slot: int) -> None:
    """The app server's answer arrives, or the news that there will be none."""
    j = w.jobs[slot]
    a, outcome, status = j["attempt"], j["outcome"], j["status"]
    waiting = current(w, slot)
    drop_job(w, slot)
    if waiting:
        end_try(w, a, outcome != OK)
        settle(w, a, outcome, status)


@subroutine
def upstream_timed_out(w: World, a: int, minor: int) -> None:
    """No answer from the app server in time."""
    if not under_way(w, a, minor):
        return
    end_try(w, a, True)
    settle(w, a, UPSTREAM_TIMEOUT, 504)


@subroutine
def try_closed(w: World, a: int, minor: int) -> None:
    """The link may close the upstream connection now."""
    if under_way(w, a, minor) and 0 <= try_closes(w, a) <= w.state[0]["now"]:
        end_try(w, a, True)
        settle(w, a, UPSTREAM_RESET, 502)


@subroutine
def link_closed(w: World, c: int, id: int) -> None:
    """The link may close a client's connection now: both ends know."""
    if not close_is_due(w, c, id):
        return
    w.connections[c]["refs"] += 1
    client_close(w, c)
    notice(w, c, REFUSED)
    drop_connection(w, c)


@subroutine
def settle(w: World, a: int, outcome: int, status: int) -> None:
    """Try another server if the rules allow and there is one; else the client gets the outcome."""
    s, spec = w.state[0], w.config[0]
    attempt = w.attempts[a]
    if outcome != OK and proxy_retries(
        outcome, w.sources[attempt["source"]]["idempotent"] == 1, keeps_content(outcome, content(w, a)),
        attempt["tries"], spec["retry_attempts"], s["active"], s["retrying"], spec["retry_budget"],
    ):  # fmt: skip
        failed = attempt["server"]
        slot = w.apps[failed]["slot"]
        role = w.servers[slot]["role"] if slot >= 0 else SERVING
        if forward(w, a, role, failed) == 0:
            if attempt["retrying"] == 0:
                attempt["retrying"] = 1
                s["retrying"] += 1
            return
    leave(w, a)
    respond(w, a, outcome, status)
