"""The proxy's back: the table of servers, routing, upstream tries, retries, health, ejection."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..core import admission, draws, health, retries, routing, table
from ..core.closing import check_time
from ..core.load_index import build_index, load_changed, no_index
from ..core.model import FleetSpec
from ..core.network import link_delay
from ..core.order import Kind, lane
from ..core.outcomes import STATUS, Outcome
from ..core.tallies import count_try, no_counters
from ..core.toxics import UPSTREAM, disturbance
from .entities import Attempt, Connection, Job
from .timeline import Timeline

if TYPE_CHECKING:
    from .dataplane import DataPlane
    from .proxy import Proxy

OK = int(Outcome.OK)
APP_ERROR = int(Outcome.APP_ERROR)
NO_SERVER = int(Outcome.NO_SERVER)
QUEUE_FULL = int(Outcome.QUEUE_FULL)
SHED = int(Outcome.SHED)
CONNECT_FAILED = int(Outcome.CONNECT_FAILED)
UPSTREAM_TIMEOUT = int(Outcome.UPSTREAM_TIMEOUT)
UPSTREAM_RESET = int(Outcome.UPSTREAM_RESET)
_STATUS = {int(outcome): status for outcome, status in STATUS.items()}


class Forwarding:
    """Carries an attempt to a server and its outcome back to the proxy's front."""

    def __init__(self, fleet: FleetSpec, timeline: Timeline, proxy: "Proxy", plane: "DataPlane") -> None:
        self.fleet = fleet
        self.spec = fleet.proxy
        self.timeline = timeline
        self.proxy = proxy
        self.plane = plane
        self.servers = table.empty_table(0)
        self.load = no_index()
        self.active = 0
        self.retrying = 0
        self.sequence = 0
        self.last = [0, 0]
        self.share = routing.each(self.spec.canary_every)
        self.counters = no_counters()

    # The table of servers.

    def forget(self) -> None:
        """An empty table and fresh counters: the process is gone."""
        self.servers = table.empty_table(0)
        self.load = no_index()
        self.active = self.retrying = self.sequence = 0
        self.last = [0, 0]
        self.counters = no_counters()

    def update(self, listed: Mapping[int, int]) -> None:
        """Take over the registry's lists: server number -> role. Departed servers stay until their requests have ended."""
        servers = table.update(self.servers, listed, self.fleet.app.weight, self.timeline.now())
        if servers is not self.servers:
            self.servers = servers
            if routing.needs_index(self.spec.routing):
                self.load = build_index(servers)

    def slot(self, server: int) -> int:
        """The table's slot of *server*, or -1."""
        return table.find(self.servers, len(self.servers), server)

    # A request on its way up.

    def route(self, connection: Connection, attempt: Attempt) -> None:
        """The proxy has read the request: it is sent to a server."""
        if connection.proxy_closed or connection.busy is not attempt:
            return
        message = attempt.message
        if message is not None and message.status:
            self._respond(attempt, message.outcome, message.status)
            return
        attempt.routed = self.timeline.now()
        self.sequence += 1
        role = routing.wanted_role(self.sequence, *self.share)
        failure = self._forward(attempt, role, 0)
        if failure:
            if failure in (NO_SERVER, SHED):
                self.proxy.unserved += 1
            self._respond(attempt, failure, _STATUS[failure])

    def _forward(self, attempt: Attempt, role: int, exclude: int) -> int:
        """Send *attempt* to a server of *role*; the outcome that prevents it, or 0."""
        now = self.timeline.now()
        request = attempt.request
        slot = routing.route(
            self.spec.routing, self.servers, self.load, len(self.servers), role, self.spec.max_in_flight,
            self.spec.slow_start, now, self._bits(attempt), exclude, self.last[role], self.last[1 - role],
            self._affinity(attempt),
        )  # fmt: skip
        if slot < 0:
            return SHED if slot == routing.SHED else NO_SERVER
        if not admission.fits_descriptors(self.proxy.descriptors, self.proxy.limit):
            return CONNECT_FAILED
        self.proxy.descriptors += 1
        server = int(self.servers["id"][slot])
        self.last[int(self.servers["role"][slot])] = server
        self.servers["in_flight"][slot] += 1
        self._load_changed(slot)
        attempt.server = server
        attempt.tries += 1
        attempt.upstream = True
        attempt.sent_upstream = now
        attempt.arrived = attempt.started = attempt.cpu_done = attempt.served = -1
        tries = lane(attempt.number, attempt.tries)
        if self.spec.upstream_timeout >= 0:
            self.timeline.at(
                now + self.spec.upstream_timeout, Kind.UPSTREAM_TIMEOUT, server, request.number, tries,
                self._timed_out, attempt, attempt.tries,
            )  # fmt: skip
        endpoint = self.fleet.endpoints[request.endpoint]
        cpu, io = request.cpu, request.io
        if attempt.number > 1:
            cpu, io = self.proxy.clients.demand(request, attempt.number)
        self._send(Job(attempt, endpoint, server, cpu, io))
        return 0

    def _send(self, job: Job) -> None:
        self.proxy.links.sent(job.attempt)
        time = self.timeline.now() + self.delay(job, draws.UPSTREAM_LATENCY)
        time, cut = self.proxy.links.travel_try(job, UPSTREAM, draws.UPSTREAM_LATENCY, job.body, time)
        if cut:
            self.timeline.at(
                time, Kind.UPSTREAM_FAILURE, job.server, job.number, job.lane,
                self.answer, job, UPSTREAM_RESET, _STATUS[UPSTREAM_RESET],
            )  # fmt: skip
        elif time >= 0:
            self.timeline.at(time, Kind.APP_ARRIVE, job.server, job.number, job.lane, self.plane.arrive, job)

    def _bits(self, attempt: Attempt) -> int:
        if not routing.needs_bits(self.spec.routing, self.spec.slow_start):
            return 0
        request = attempt.request
        purpose = draws.ROUTE + draws.TRY * attempt.tries
        return draws.draw(request.stream, request.index, attempt.number, purpose)

    def _affinity(self, attempt: Attempt) -> int:
        """What consistent hashing hashes: the client's address, here its connection."""
        connection = attempt.connection
        assert connection is not None
        if connection.slot >= 0:
            return (connection.source << 20) + connection.slot
        return connection.id

    def delay(self, job: Job, purpose: int) -> int:
        """A message's time between proxy and app server."""
        link, request, number = self.fleet.upstream_link, job.attempt.request, job.attempt.number
        now, purpose = self.timeline.now(), purpose + draws.TRY * job.tries
        delay = link_delay(link.latency, link.jitter, request.stream, request.index, number, purpose)
        return delay + disturbance(
            self.proxy.links.toxics, job.server, now, request.stream, request.index, number, purpose
        )

    # What comes back.

    def answer(self, job: Job, outcome: int, status: int) -> None:
        """The app server's answer arrives, or the news that there will be none."""
        attempt = job.attempt
        if not job.current:
            return
        self._end_try(attempt, outcome != OK)
        self._settle(attempt, outcome, status)

    def _timed_out(self, attempt: Attempt, tries: int) -> None:
        if attempt.upstream and attempt.tries == tries:
            self.fail(attempt, UPSTREAM_TIMEOUT)

    def fail(self, attempt: Attempt, outcome: int) -> None:
        """The try that *attempt* waits for has come to nothing."""
        self._end_try(attempt, True)
        self._settle(attempt, outcome, _STATUS[outcome])

    def _settle(self, attempt: Attempt, outcome: int, status: int) -> None:
        """Try another server if the rules allow and there is one; else the client gets the outcome."""
        spec = self.spec
        request = attempt.request
        idempotent = request.spec.method in retries.IDEMPOTENT
        kept = retries.keeps_content(outcome, request.body)
        if retries.proxy_retries(
            outcome, idempotent, kept, attempt.tries, spec.retry_attempts, self.active, self.retrying,
            spec.retry_budget,
        ):  # fmt: skip
            slot = self.slot(attempt.server)
            role = int(self.servers["role"][slot]) if slot >= 0 else table.SERVING
            failed = attempt.server
            if not self._forward(attempt, role, failed):
                if not attempt.retrying:
                    attempt.retrying = True
                    self.retrying += 1
                return
        self._respond(attempt, outcome, status)

    def _respond(self, attempt: Attempt, outcome: int, status: int) -> None:
        self._leave(attempt)
        self.proxy.respond(attempt, outcome, status)

    def _leave(self, attempt: Attempt) -> None:
        self.active -= 1
        if attempt.retrying:
            attempt.retrying = False
            self.retrying -= 1

    def abandon(self, attempt: Attempt) -> None:
        """The client is gone, or the proxy: nobody waits for *attempt* any more. The app server goes on all the same."""
        self._leave(attempt)
        if self.disown(attempt):
            slot = self.slot(attempt.server)
            self.servers["in_flight"][slot] -= 1
            self._load_changed(slot)
            self._count(attempt, slot, True)

    def disown(self, attempt: Attempt) -> bool:
        """Close the upstream connection of *attempt*; whether there was one."""
        was_upstream = attempt.upstream
        if was_upstream:
            attempt.upstream = False
            self.proxy.end_upstream(attempt)
        return was_upstream

    def _end_try(self, attempt: Attempt, failed: bool) -> None:
        now = self.timeline.now()
        attempt.upstream = False
        self.proxy.end_upstream(attempt)
        slot = self.slot(attempt.server)
        assert slot >= 0, f"server {attempt.server} left the table with requests in flight"
        self.servers["in_flight"][slot] -= 1
        assert self.servers["in_flight"][slot] >= 0, "more answers than requests"
        self._load_changed(slot)
        self._count(attempt, slot, failed)
        if not failed:
            routing.observe_latency(self.servers, slot, now, now - attempt.sent_upstream)
        outlier = self.spec.outlier
        if outlier is None:
            return
        until = health.record_result(
            self.servers, len(self.servers), slot, failed, now, outlier.consecutive_5xx,
            outlier.base_ejection_time, outlier.max_ejection_percent,
        )  # fmt: skip
        if until:
            load_changed(self.servers, self.load, slot)
            self.plane.emit("ejected", {"server": attempt.server, "until": int(until)})
            self.timeline.at(int(until), Kind.UNEJECT, attempt.server, 0, 0, self._uneject, attempt.server)

    def _count(self, attempt: Attempt, slot: int, failed: bool) -> None:
        if self.fleet.needs_tallies:
            took = self.timeline.now() - attempt.sent_upstream
            count_try(self.counters, int(self.servers["role"][slot]), took, failed)

    def _uneject(self, server: int) -> None:
        slot = self.slot(server)
        if slot >= 0 and health.uneject(self.servers, slot, self.timeline.now()):
            load_changed(self.servers, self.load, slot)
            self.plane.emit("unejected", {"server": server})

    def _load_changed(self, slot: int) -> None:
        """A server has more or fewer requests in flight."""
        load_changed(self.servers, self.load, slot)
        if self.spec.max_in_flight < 0:
            return
        row = self.servers[slot]
        opened = health.breaker(int(row["breaker"]), int(row["in_flight"]), self.spec.max_in_flight)
        if opened != row["breaker"]:
            row["breaker"] = opened
            name = "breaker_opened" if opened else "breaker_closed"
            self.plane.emit(name, {"server": int(row["id"])})

    def check_health(self) -> None:
        """One round of active checks of all listed servers."""
        spec = self.spec.health
        assert spec is not None
        for slot in range(len(self.servers)):
            if not self.servers["listed"][slot]:
                continue
            server = int(self.servers["id"][slot])
            round_trip = check_time(
                self.fleet.upstream_link.latency, self.proxy.links.toxics, server, self.timeline.now()
            )
            passed = round_trip <= spec.timeout and self.plane.answers(server)
            change = health.check(
                self.servers, slot, passed, spec.healthy_threshold, spec.unhealthy_threshold
            )
            if change:
                load_changed(self.servers, self.load, slot)
                self.plane.emit("healthy" if change > 0 else "unhealthy", {"server": server})
