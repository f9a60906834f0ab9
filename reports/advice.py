"""Advice by stated rules: each looks at a run's figures and says something, with figures and times, or nothing.

A rule never says more than the data shows: what happened, how much of it, when, and which setting bears on it. Each states in its
docstring when it speaks; docs/report.md lists them all. Those about the slowest 1% of the requests speak only if somebody finds them slow:
a latency objective is violated, there is none, or a request timed out.
"""

from collections.abc import Callable, Iterator

import numpy as np

from ..core.routing import LEAST_CONNECTIONS, PEAK_EWMA, POWER_OF_TWO
from . import stations
from .facts import SYN_RETRY, Facts
from .wording import duration, listed, moment, plural, servers, share, times

BUSY = 0.8
FULL = 0.98
STORM = 1.2
NOTABLE = 0.01
"""Shares, and attempts per request, from which rules speak."""

Rule = Callable[[Facts], str | None]


def queue_and_busy(facts: Facts) -> str | None:
    """The server's queue took most of the time of the slowest 1%, and when they arrived at least 80% of the workers were busy."""
    if not _slowest_at(facts, stations.QUEUE) or facts.busy is None or facts.busy < BUSY:
        return None
    return (
        f"{_slow(facts)} in the queue of the server; when they arrived, {share(facts.busy)} of all workers were busy: "
        "more servers or workers, or a lower scaling threshold, shorten the queue"
    )


def queue_though_idle(facts: Facts) -> str | None:
    """The queue took most of the time of the slowest 1%, workers were free, and the routing does not look at the load."""
    looks = facts.fleet.proxy.routing in (LEAST_CONNECTIONS, POWER_OF_TWO, PEAK_EWMA)
    if not _slowest_at(facts, stations.QUEUE) or facts.busy is None or facts.busy >= BUSY or looks:
        return None
    return (
        f"{_slow(facts)} in the queue of one server; when they arrived, only {share(facts.busy)} of all workers were busy: "
        "routing by load (least_connections, power_of_two) would use the free ones"
    )


def cores_are_busy(facts: Facts) -> str | None:
    """CPU, with the wait for a core, took most of the time of the slowest 1%, and at least 80% of the cores were used in those seconds."""
    if not _slowest_at(facts, stations.CPU) or facts.cores is None or facts.cores < BUSY:
        return None
    return (
        f"{_slow(facts)} on CPU or waiting for a core, and {share(facts.cores)} of all cores were used in the seconds in which they came: "
        "more cores or servers would let them run at once"
    )


def proxy_is_the_neck(facts: Facts) -> str | None:
    """The proxy took most of the time of the slowest 1%, and its event loop was at least 80% busy in some second."""
    if not _slowest_at(facts, stations.PROXY) or facts.proxy_busy.value < BUSY:
        return None
    return (
        f"{_slow(facts)} in the proxy, whose event loop was {share(facts.proxy_busy.value)} busy in the second before "
        f"{moment(facts.proxy_busy.at)}: more servers do not help; less CPU per request or a second proxy would"
    )


def dependencies_are_slow(facts: Facts) -> str | None:
    """io and dependencies took most of the time of the slowest 1%."""
    if not _slowest_at(facts, stations.WAITS) or facts.slow is None:
        return None
    numbers, counts = np.unique(facts.slow.endpoint, return_counts=True)
    place = int(np.argmax(counts))
    spec = facts.fleet.endpoints[int(numbers[place])]
    called = listed(list(dict.fromkeys(facts.fleet.dependencies[call].name for call in spec.calls)))
    parts = (["io of its own"] if spec.io else []) + ([f"calls to {called}"] if called else [])
    return (
        f"{_slow(facts)} in io and calls; {counts[place]:,} of these {facts.slow.count:,} are for {spec.path}, which has "
        f"{listed(parts)}: more servers do not help as long as what they wait for is as slow"
    )


def pool_is_small(facts: Facts) -> str | None:
    """The way to the proxy took most of the time of the slowest 1%, twice as long as the link needs at most for a handshake and a request, some source uses a pool, and the proxy's accept queue was not full."""
    link = facts.fleet.client_link
    if not _slowest_at(facts, stations.CONNECTION) or facts.slow is None or _backlog_full(facts):
        return None
    if facts.pooled() < 0 or facts.slow.means[stations.CONNECTION] < 2 * 3 * (link.latency + link.jitter):
        return None
    return (
        f"{_slow(facts)} on the way to the proxy, which needs at most {duration(3 * (link.latency + link.jitter))} with a handshake, and the accept queue "
        f"was never full: what is left is the wait for one of the clients' pools (at most {plural(facts.pooled(), 'connection')})"
    )


def retries_take_the_time(facts: Facts) -> str | None:
    """Earlier attempts and backoff took most of the time of the slowest 1%."""
    if not _slowest_at(facts, stations.EARLIER):
        return None
    return f"{_slow(facts)} in attempts that failed and the waits between them: what made those fail is the matter, not the last answer"


def retries_amplify(facts: Facts) -> str | None:
    """At least 1.2 attempts were sent per request."""
    if facts.begun == 0 or facts.sent < STORM * facts.begun:
        return None
    return (
        f"Clients' retries made {plural(facts.sent, 'attempt')} of {plural(facts.begun, 'request')}, {times(facts.sent / facts.begun)} the load, "
        f"and {times(facts.storm.value)} in the {duration(facts.bin)} before {moment(facts.storm.at)}: "
        "fewer retries or longer backoff would leave the fleet room to recover"
    )


def boots_are_slow(facts: Facts) -> str | None:
    """The load was at its greatest after a server was launched and before it was ready."""
    late = [
        life for life in facts.lives if 0 < life.launched <= facts.rush.at - facts.bin and life.ready >= facts.rush.at
    ]  # fmt: skip
    if not late:
        return None
    longest = max(late, key=lambda life: life.ready - life.launched)
    return (
        f"Load was greatest, {facts.rush.value:,.0f} requests/s, from {moment(facts.rush.at - facts.bin)} to {moment(facts.rush.at)}, "
        f"while {servers([life.server for life in late])} booted; server {longest.server} was launched at {moment(longest.launched)} and took "
        f"{duration(longest.ready - longest.launched)}: a lower threshold, a standby or a faster boot would have it there in time"
    )


def scale_in_loses(facts: Facts) -> str | None:
    """A server that the autoscaler drained was terminated with requests in flight."""
    lost = [one for one in facts.lost if one[2] in ("drained", "drain timeout", "not needed")]
    if not lost:
        return None
    time, server, reason, _ = lost[0]
    scaler = facts.fleet.autoscaler
    now = f" (now {duration(scaler.drain_timeout)})" if scaler else ""
    return (
        f"Scaling in lost {plural(sum(one[3] for one in lost), 'request')} in flight on {servers([one[1] for one in lost])}, "
        f"first at {moment(time)} (server {server}, {reason}): a longer drain_timeout{now} lets them end"
    )


def short_lives(facts: Facts) -> str | None:
    """A server was drained sooner after it was ready than it had taken to boot."""
    short = [
        (life, facts.drains[life.server] - life.ready)
        for life in facts.lives
        if life.launched > 0 and life.ready >= 0 and life.server in facts.drains
        and facts.drains[life.server] - life.ready < life.ready - life.launched
    ]  # fmt: skip
    if not short:
        return None
    life, served = min(short, key=lambda one: (one[1], one[0].server))
    return (
        f"{plural(len(short), 'server')} served for less time than booting took; server {life.server} took {duration(life.ready - life.launched)} "
        f"and was drained {duration(served)} after it was ready, at {moment(facts.drains[life.server])}: "
        "thresholds further apart or a longer cooldown would keep it"
    )


def syns_are_dropped(facts: Facts) -> str | None:
    """Attempts waited at least a second for a connection, and the accept queue was as long as the backlog in some second."""
    if facts.late_syns == 0 or not _backlog_full(facts):
        return None
    return (
        f"{plural(facts.late_syns, 'attempt')} waited at least {duration(SYN_RETRY)} for a connection, as a client does whose SYN is dropped; "
        f"the accept queue held {facts.accept_queue.value:,.0f} of {facts.fleet.proxy.backlog:,} at {moment(facts.accept_queue.at)}: "
        "a longer backlog, more descriptors or a proxy that accepts sooner would spare them the wait"
    )


def descriptors_run_out(facts: Facts) -> str | None:
    """Requests failed as refused, connect_failed or evicted, and at least 98% of the descriptors were in use in some second."""
    limit, failed = facts.fleet.proxy.max_connections, _errors(facts, "refused", "connect_failed", "evicted")
    if limit < 0 or not failed or facts.descriptors.value < FULL * limit:
        return None
    return (
        f"{_told(facts, 'refused', 'connect_failed', 'evicted')}, and {facts.descriptors.value:,.0f} of {limit:,} descriptors were in use at "
        f"{moment(facts.descriptors.at)}: a greater max_connections would admit them"
    )


def proxy_memory_runs_out(facts: Facts) -> str | None:
    """Requests failed as refused or evicted, and at least 98% of the proxy's memory was in use in some second."""
    total, failed = facts.fleet.proxy.memory.total, _errors(facts, "refused", "evicted")
    if total <= 0 or not failed or facts.proxy_memory.value < FULL * total:
        return None
    return (
        f"{_told(facts, 'refused', 'evicted')}, and the proxy used {share(facts.proxy_memory.value / total)} of its memory at "
        f"{moment(facts.proxy_memory.at)}: more memory, or less per connection, would keep them"
    )


def proxy_was_down(facts: Facts) -> str | None:
    """The proxy went down."""
    if not facts.proxy_down:
        return None
    time, up = facts.proxy_down[0]
    back = f"came back {duration(up - time)} later" if up >= 0 else "did not come back (restart_after)"
    refused = f"; {_told(facts, 'refused')}" if _errors(facts, "refused") else ""
    return f"The proxy went down {times_word(len(facts.proxy_down))}, first at {moment(time)}, and {back}{refused}: it is the one part that nothing replaces"


def fleet_is_capped(facts: Facts) -> str | None:
    """A decision was held back by the autoscaler's maximum."""
    if not facts.capped or facts.fleet.autoscaler is None:
        return None
    return (
        f"The autoscaler wanted more than {plural(facts.fleet.autoscaler.maximum, 'server')} {times_word(len(facts.capped))}, "
        f"first at {moment(facts.capped[0])}: a greater maximum would let it"
    )


def dead_stay_listed(facts: Facts) -> str | None:
    """Requests that were last sent to a server failed after it had died."""
    hit = [death for death in facts.deaths if death.failed]
    if not hit:
        return None
    worst = max(hit, key=lambda death: (death.failed, -death.server))
    gone = f"terminated {duration(worst.gone - worst.died)} later" if worst.gone >= 0 else "never terminated"
    missing = [
        word
        for word, part in (
            ("health checks", facts.fleet.proxy.health),
            ("outlier detection", facts.fleet.proxy.outlier),
        )
        if part is None
    ]
    then = (
        f"{listed(missing)} would take such a server out"
        if missing
        else "a shorter check interval would take such a server out sooner"
    )
    return (
        f"{plural(sum(death.failed for death in hit), 'request')} failed on {servers([death.server for death in hit])} after "
        f"{'it' if len(hit) == 1 else 'they'} had died; server {worst.server} died at {moment(worst.died)} and was {gone}: {then}"
    )


def nobody_served(facts: Facts) -> str | None:
    """Requests got no_server, and there were seconds without any serving server."""
    seconds, first, last = facts.unserved
    if not _errors(facts, "no_server") or seconds == 0:
        return None
    return (
        f"{_told(facts, 'no_server')}; no server was serving in {plural(seconds, 'second')}, from {moment(first)} to {moment(last)}: "
        "a greater minimum, a shorter dead_after or standby servers would close the gap"
    )


def queues_overflow(facts: Facts) -> str | None:
    """At least 1% of the requests found a full queue."""
    if _errors(facts, "queue_full") < NOTABLE * max(facts.planned, 1):
        return None
    return (
        f"{_told(facts, 'queue_full')}: the servers' queues hold {facts.fleet.app.queue:,} each; more servers would empty them sooner, "
        "a longer queue would turn errors into waiting"
    )


def cap_sheds(facts: Facts) -> str | None:
    """At least 1% of the requests were shed."""
    if _errors(facts, "shed") < NOTABLE * max(facts.planned, 1):
        return None
    return (
        f"{_told(facts, 'shed')}: every server was at its cap of {plural(facts.fleet.proxy.max_in_flight, 'request')} in flight; "
        "more servers or a greater cap would take them"
    )


def servers_run_out_of_memory(facts: Facts) -> str | None:
    """A server ran out of memory."""
    if not facts.out_of_memory:
        return None
    time, server = facts.out_of_memory[0]
    spec = facts.fleet.app.memory
    leak = f" and leaks {spec.leak:,} bytes a request" if spec.leak > 0 else ""
    return (
        f"{plural(len(facts.out_of_memory), 'server')} ran out of memory, first server {server} at {moment(time)}; a server has "
        f"{spec.total / 2**20:,.0f} MiB{leak}: more memory, a shorter queue or fewer requests per server would keep it alive"
    )


RULES: tuple[Rule, ...] = (
    queue_and_busy, queue_though_idle, cores_are_busy, proxy_is_the_neck, dependencies_are_slow, pool_is_small, retries_take_the_time,
    retries_amplify, boots_are_slow, scale_in_loses, short_lives, syns_are_dropped, descriptors_run_out, proxy_memory_runs_out,
    proxy_was_down, fleet_is_capped, dead_stay_listed, nobody_served, queues_overflow, cap_sheds, servers_run_out_of_memory,
)  # fmt: skip


def advice(facts: Facts) -> Iterator[str]:
    """What the rules say, in their order, as sentences."""
    for rule in RULES:
        text = rule(facts)
        if text is not None:
            yield text + "."


def times_word(count: int) -> str:
    """``once``, ``12 times``."""
    return "once" if count == 1 else "twice" if count == 2 else f"{count:,} times"


def _slowest_at(facts: Facts, station: int) -> bool:
    return facts.too_slow and facts.slow is not None and facts.slow.total > 0 and facts.slow.most == station


def _slow(facts: Facts) -> str:
    assert facts.slow is not None
    return f"The slowest 1% of requests (median {duration(facts.slow.median)}) spent {share(facts.slow.share(facts.slow.most))} of their time"


def _backlog_full(facts: Facts) -> bool:
    return 0 <= facts.fleet.proxy.backlog <= facts.accept_queue.value


def _errors(facts: Facts, *outcomes: str) -> int:
    return sum(facts.errors.get(outcome, 0) for outcome in outcomes)


def _told(facts: Facts, *outcomes: str) -> str:
    """``12 of 300 requests ended as refused, 3 as evicted``."""
    first, *others = [(facts.errors[name], name) for name in outcomes if facts.errors.get(name)]
    told = f"{first[0]:,} of {plural(facts.planned, 'request')} ended as {first[1]}"
    return ", ".join([told, *(f"{count:,} as {name}" for count, name in others)])
