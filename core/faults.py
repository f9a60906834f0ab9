"""The vocabulary of faults: what each type does, whom it can hit, what can be said of it.

The words are Toxiproxy's (name, type, stream, toxicity, attributes). This table is what scenarios are checked against, what
docs/faults.md is written from, and what every world has to implement.
"""

from dataclasses import dataclass
from typing import Final

from .model import SECOND

SERVERS: Final = ("app", "canary", "standby")
ALL = -1
"""As a count of targets: all of the role, those that come later too."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A setting of a fault type. *unit* is duration, offset (a duration with a sign), size, bytes (a size above 0), rate, factor, share, count, status or a word
    among *words*; required without a *default*."""

    unit: str
    meaning: str
    default: str | float | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultType:
    """A type of fault. *roles*: whom it can hit, the first one unless told; *lasts*: whether it takes a length (``for``)."""

    family: str
    roles: tuple[str, ...]
    does: str
    see: str
    lasts: bool = True
    toxicity: str = ""
    stream: bool = False
    attributes: tuple[tuple[str, Attribute], ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        """The attribute called so."""
        return dict(self.attributes).get(name)


_FACTOR = Attribute("factor", "so many times as long; below 1 it goes faster")

FAULTS: Final[dict[str, FaultType]] = {
    "kill": FaultType(
        "servers", (*SERVERS, "proxy"), lasts=False,
        does="The process dies at once with everything in flight; the registry is not told.",
        see="Requests in flight end as `upstream_reset`, new ones as `connect_failed` until health checks or ejection take the server out; the autoscaler ends it after `dead_after`. A killed proxy refuses everybody until it is back.",
    ),
    "pause": FaultType(
        "servers", SERVERS,
        does="The process hangs (SIGSTOP): it takes no request up, its CPU work stands still, its monitors are silent, health checks time out. Afterwards it goes on where it was.",
        see="Requests pile up on it until their timeouts, worst with least-connections off; a burst of late answers when it goes on.",
    ),
    "slow": FaultType(
        "servers", (*SERVERS, "proxy"),
        does="CPU work that begins meanwhile takes `factor` times as long.",
        see="Latency grows first where utilisation is high; past 100% the queue grows without bound.",
        attributes=(("factor", _FACTOR),),
    ),
    "memory_leak": FaultType(
        "servers", SERVERS,
        does="Memory grows by `rate` each second, whatever the traffic, and is not given back.",
        see="Memory climbs in a straight line until the instance is killed with everything in flight, or a memory policy adds servers that do not help.",
        attributes=(("rate", Attribute("size", "bytes a second")),),
    ),
    "error": FaultType(
        "servers", SERVERS, toxicity="share of requests",
        does="A share of requests (`toxicity`) is answered with an error as soon as a worker takes them up, without any work.",
        see="The server looks fast: least connections and peak EWMA send it more than its share, until ejection.",
        attributes=(("status", Attribute("status", "HTTP status of the answer", 500.0)),),
    ),
    "crash_loop": FaultType(
        "servers", SERVERS,
        does="The process dies, its supervisor starts it again `restart` later, it lives for `lives` and dies again, until the fault is over: then it comes up and stays. The registry lists it all the while, and its monitor, which is another process, goes on writing.",
        see="While it is down `connect_failed`, at each death `upstream_reset`; health checks take it out and back in; to a policy it looks idle. The autoscaler, which hears its monitor, never ends it.",
        attributes=(
            ("lives", Attribute("duration", "so long it is up each time", float(SECOND))),
            ("restart", Attribute("duration", "so long it is down each time", float(SECOND))),
        ),
    ),
    "zombie": FaultType(
        "servers", SERVERS,
        does="The server is taken out of the lists and does not come back into them by itself; its process runs on and its monitor writes. When the fault is over it registers again.",
        see="It ends what it has in flight and gets nothing new; it is paid for and counts for nothing, so a policy launches another in its place; nobody ends it, for it is not silent.",
    ),
    "spot_interruption": FaultType(
        "servers", SERVERS, lasts=False,
        does="The cloud wants the instance back, as EC2 does with spot instances: it gives `notice`, then ends it, whoever is on it. With `handler: drain` an agent on the instance takes it out of the lists as soon as it has the notice; with `handler: none` it serves to the end.",
        see="Drained: no request is lost if those in flight end within the notice, and the fleet is smaller until a policy or the minimum replaces it. Not drained: `upstream_reset` at the end, then `connect_failed` until health checks, ejection or the next reconciliation with the cloud's list take it out.",
        attributes=(
            ("notice", Attribute("duration", "between notice and end", float(120 * SECOND))),
            ("handler", Attribute("word", "what the instance does when it has the notice: `drain` or `none`", "drain", ("drain", "none"))),
        ),
    ),
    "cpu_hog": FaultType(
        "machines", (*SERVERS, "proxy"),
        does="Something else on the machine takes `share` of the time of its cores: CPU work that begins meanwhile takes 1 / (1 - share) times as long, and the CPU that a server's monitor writes has it in it.",
        see="As with `slow`, but the CPU goes up also without traffic: a policy that looks at CPU scales out, and never back in while it lasts.",
        attributes=(("share", Attribute("share", "of all cores, below 100%")),),
    ),
    "memory_pressure": FaultType(
        "machines", SERVERS,
        does="Something else on the machine takes `size` of its memory at once and gives it back at the end; a restart of the server's process does not help.",
        see="A step in the memory, and back. If it is too much, the process is killed at once with everything in flight; if it is nearly too much, at the next peak; remedies that restart the process are in vain.",
        attributes=(("size", Attribute("size", "bytes")),),
    ),
    "disk_full": FaultType(
        "machines", ("registry", *SERVERS),
        does="Nothing can be written to the disk. A registry that cannot save its snapshot refuses whatever writes (MISCONF), and goes on answering whoever reads. A server goes on serving, its logs are lost, and a process that ends there does not begin again before there is room.",
        see="Registry: samples grow old, new servers wait to register, nobody can drain, no lease is renewed, and the autoscaler says that it cannot reach the registry; the proxy, which only reads, sees nothing wrong. Server: nothing, until a deploy, a remedy or a supervisor restarts its process.",
    ),
    "descriptor_limit": FaultType(
        "machines", ("proxy",),
        does="The proxy's limit of descriptors (`fleet.proxy.max_connections`) is `limit` meanwhile, if that is less; what it has open stays open.",
        see="`refused`, evictions, or `connect_failed` where the upstream connection lacks one, by the proxy's rules for exhaustion; keep-alive connections that idle make it worse.",
        attributes=(("limit", Attribute("count", "descriptors")),),
    ),
    "clock_skew": FaultType(
        "machines", (*SERVERS, "autoscaler"),
        does="The machine's clock is wrong by `by`, and right again afterwards (no clock shows a time before the start). A server's monitor stamps its samples with it; the autoscaler judges ages, cooldowns and timeouts by it.",
        see="A server that is behind: its samples are too old, its load is unknown, and after `dead_after` it is ended although it serves. One that is ahead: its last samples count as fresh long after it died. An autoscaler that is ahead takes all servers for silent; one that is behind lets its cooldown and its lease run on.",
        attributes=(("by", Attribute("offset", "ahead, or behind with a minus sign")),),
    ),
    "clock_jump": FaultType(
        "machines", (*SERVERS, "autoscaler"), lasts=False,
        does="The machine's clock jumps by `by` and goes on from there. Jumps add up.",
        see="As with `clock_skew`, to the end of the run, or until a jump the other way.",
        attributes=(("by", Attribute("offset", "forward, or back with a minus sign")),),
    ),
    "latency": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of messages", stream=True,
        does="Messages take longer, in one direction or both. Target app: links between proxy and those servers; target proxy: between clients and proxy.",
        see="Latency grows by just that, and requests in flight with it (Little's law); keep-alive hides half of what a handshake a request would cost.",
        attributes=(
            ("latency", Attribute("duration", "added to each message")),
            ("jitter", Attribute("duration", "greatest deviation from it", 0)),
        ),
    ),
    "loss": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of messages lost", stream=True,
        does="Messages get lost and are sent again by TCP: 200 ms later (a SYN 1 s), then twice as long each time.",
        see="Medians stay, tails grow by steps of 200 ms and 1 s.",
    ),
    "partition": FaultType(
        "links", (*SERVERS, "proxy", "autoscaler"), stream=True,
        does="Nothing gets through between the target and its peer (`from`), or nothing in one direction (`stream`); TCP delivers late, if it ends.",
        see="From the proxy: health checks fail, requests end by timeout. Cut downstream only, requests arrive and the work is done, for nobody: with retries more of it than without the fault. Cut off from the registry a server serves on but is unknown, then silent, and ended after `dead_after`; a proxy keeps its last table; the autoscaler does nothing and says so.",
        attributes=(("from", Attribute("word", "the peer: `proxy` (of servers, their default), `clients` (of the proxy, its default) or `registry` (of any, the default of the autoscaler; without `stream`)", "", ("proxy", "clients", "registry"))),),
    ),
    "bandwidth": FaultType(
        "links", (*SERVERS, "proxy"), stream=True,
        does="A link carries `rate`, each direction for itself: content (request bodies, answers' `size`) waits until what left before it is through. Each server's link has its own rate; the clients share the one to the proxy. Messages without content pass at once.",
        see="An answer takes its size / `rate` longer; no more goes through than `rate`: offered more, the queue grows without bound, while servers are idle and health checks pass.",
        attributes=(("rate", Attribute("bytes", "bytes a second")),),
    ),
    "slicer": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of messages", stream=True,
        does="Content goes in slices of `average_size`, each `delay` after the one before.",
        see="Large answers are late by (slices - 1) times `delay`, small ones are not.",
        attributes=(
            ("average_size", Attribute("bytes", "of a slice")),
            ("delay", Attribute("duration", "between two slices")),
        ),
    ),
    "timeout": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of connections", stream=True,
        does="Data stops: requests or answers that leave meanwhile never arrive, although connections are made and closed. A connection is closed `timeout` after the fault began, or after it was opened if that was later.",
        see="Requests end by timeouts, or as `upstream_reset` (between proxy and server) or `refused` (between client and proxy) when the link closes their connection; with neither they never end. Health checks fail.",
        attributes=(("timeout", Attribute("duration", "until the connection is closed; 0: never", 0)),),
    ),
    "reset": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of connections",
        does="Connections are reset: `timeout` after the fault began, or after they were opened if that was later; both ends see it at once.",
        see="Requests in flight end as `upstream_reset` (between proxy and server), which the proxy may try elsewhere, or as `refused` (between client and proxy); shorter ones pass. Clients with a pool connect again: a burst of handshakes.",
        attributes=(("timeout", Attribute("duration", "until the reset", 0)),),
    ),
    "slow_close": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of connections",
        does="A connection that has ended keeps its descriptor at the proxy for another `delay`, a client's its memory too.",
        see="Descriptors in use grow by ends a second times `delay` (Little's law); where they are limited, new connections wait or are dropped although hardly anything is in flight.",
        attributes=(("delay", Attribute("duration", "from the end to the close")),),
    ),
    "limit_data": FaultType(
        "links", (*SERVERS, "proxy"), toxicity="share of connections", stream=True,
        does="A connection is closed, for both ends, in the middle of the content with which it has carried more than `bytes` in one direction since the fault began.",
        see="Large answers never arrive: `upstream_reset` after the server has done the work, or `refused` at the client; small ones do, over a kept connection until their sum is too much.",
        attributes=(("bytes", Attribute("bytes", "of content that a connection carries")),),
    ),
    "registry_down": FaultType(
        "registry", ("registry",),
        does="The registry answers nobody.",
        see="The proxy keeps its last table, servers go on, monitors cannot write, new servers wait to register, the autoscaler holds.",
    ),
    "registry_slow": FaultType(
        "registry", ("registry",),
        does="What monitors write, the proxy reads and the autoscaler reads comes `latency` later; from 1s on it times out.",
        see="Everything that is decided from samples is decided later.",
        attributes=(("latency", Attribute("duration", "added to every exchange")),),
    ),
    "registry_flush": FaultType(
        "registry", ("registry",), lasts=False,
        does="The registry forgets everything.",
        see="With `reregister` servers come back by themselves; without it the proxy has no server as soon as it reads the empty lists.",
    ),
    "registry_restart": FaultType(
        "registry", ("registry",),
        does="The registry's process ends, without a snapshot; afterwards it answers again, empty.",
        see="As with `registry_down`, and then with `registry_flush`: what `reregister` brings back, and what it does not (the lease, the drains under way, the time of the last action).",
    ),
    "stale_registry": FaultType(
        "registry", ("registry",),
        does="`reader` reads from a replica that lags: lists and samples as they were `lag` ago. What is written, and the lease, goes to the registry itself.",
        see="The proxy sends to servers that are drained or gone (`connect_failed`) and learns late of new ones; with a lag of `drain_grace` or more requests are lost at each scale-in. The autoscaler decides on old figures, and takes a server that it has ended, and forgotten, for somebody else's as long as the lists that it reads have it: it counts one too many and drains another, perhaps the last.",
        attributes=(
            ("lag", Attribute("duration", "how old what is read is")),
            ("reader", Attribute("word", "`proxy`, `autoscaler` or `both`", "both", ("proxy", "autoscaler", "both"))),
        ),
    ),
    "boot_failure": FaultType(
        "cloud", ("cloud",), toxicity="share of boots",
        does="Boots that end meanwhile fail.",
        see="The autoscaler counts them as booting until `boot_timeout`.",
    ),
    "slow_boot": FaultType(
        "cloud", ("cloud",),
        does="Boots that begin meanwhile take `factor` times as long.",
        see="Scale-out comes after the peak; a policy that does not count what is booting overshoots.",
        attributes=(("factor", _FACTOR),),
    ),
    "capacity_error": FaultType(
        "cloud", ("cloud",), toxicity="share of launches",
        does="Launches are refused with InsufficientInstanceCapacity.",
        see="`launch_refused`, and another try after the cooldown.",
    ),
    "stuck_launch": FaultType(
        "cloud", ("cloud",), toxicity="share of launches",
        does="Launches are accepted, and listed, and nothing ever boots there, also afterwards.",
        see="The autoscaler counts them as booting until `boot_timeout`, then ends them and launches others: it pays for each, and scales out that much later.",
    ),
    "stuck_termination": FaultType(
        "cloud", ("cloud",), toxicity="share of instances",
        does="Terminations are accepted, and nothing happens: the instance runs on. Those that are asked for again afterwards happen.",
        see="The instance is out of the registry and out of the books, until the next reconciliation finds it in the cloud's list: then it is adopted and ended again, if it does not register. It is paid for all the while.",
    ),
    "stale_listing": FaultType(
        "cloud", ("cloud",),
        does="The cloud's list of instances is as it was `lag` ago (eventual consistency).",
        see="What was launched meanwhile is missing: once it is neither listed nor booting for less than 30s, the autoscaler forgets it, deregisters it although it serves, and launches another one. What has ended is still listed: it is adopted, counted as booting, and ended again.",
        attributes=(("lag", Attribute("duration", "how old the list is")),),
    ),
    "api_throttling": FaultType(
        "cloud", ("cloud",),
        does="The cloud's API (launches, terminations, lists) answers RequestLimitExceeded when its token bucket is empty.",
        see="Launches trickle in at `rate`; scale-out is late by desired/rate, and drained servers stay, and cost, until their end is granted.",
        attributes=(
            ("rate", Attribute("rate", "calls a second in the long run")),
            ("burst", Attribute("count", "calls at once", 1.0)),
        ),
    ),
    "autoscaler_crash": FaultType(
        "control", ("autoscaler",),
        does="The autoscaler's process dies; a new one, with empty books, takes over afterwards, when the old one's lease has run out.",
        see="No decision meanwhile; afterwards it adopts what the cloud lists, and knows from registry and samples who serves and who drains.",
        attributes=(("during", Attribute("word", "`launch`: not at once, but when the cloud has granted its next launch, before that is noted; if none comes in time, not at all", "", ("launch",))),),
    ),
    "second_autoscaler": FaultType(
        "control", ("autoscaler",),
        does="A second autoscaler of the same fleet begins, with empty books. With `lease: shared` it asks for the same lease; with `lease: none` it has one of its own (another key prefix, an older release), so that both act. When the fault is over its process dies.",
        see="Shared: nothing, until the first one dies or hangs for longer than its lease: then the second adopts the fleet. None: both answer the same load, so the fleet grows and shrinks twice as far, again and again, and each takes what the other launched for its own at its next reconciliation.",
        attributes=(
            ("lease", Attribute("word", "`shared` or `none`", "shared", ("shared", "none"))),
            ("offset", Attribute("duration", "its turns come so much later than the first one's, less than an interval; 0: half an interval", 0)),
        ),
    ),
    "autoscaler_pause": FaultType(
        "control", ("autoscaler",),
        does="The autoscaler's process hangs (SIGSTOP) and goes on afterwards, with what it knew. `caught: deciding`: it is in the middle of its next turn, has decided, and carries that out when it goes on.",
        see="No decision meanwhile. If its lease has run out and another one has taken it, it is fenced off before it does anything, and begins anew; if nobody has, it goes on at once.",
        attributes=(("caught", Attribute("word", "where in its work it hangs: `between` turns or `deciding`", "between", ("between", "deciding"))),),
    ),
    "monitor_silent": FaultType(
        "control", SERVERS,
        does="The servers' monitors write nothing.",
        see="Their samples grow old: unknown, never idle; after `dead_after` the autoscaler ends servers that work.",
    ),
    "monitor_stuck": FaultType(
        "control", SERVERS,
        does="The servers' monitors write the figures of the moment before again and again, with fresh times.",
        see="Nothing looks wrong. The policy scales on what was.",
    ),
    "proxy_restart": FaultType(
        "proxy", ("proxy",), lasts=False,
        does="The proxy's process ends and a new one takes over.",
        see="Every connection is reset, clients connect again at once: a burst of handshakes.",
        attributes=(("after", Attribute("duration", "time in between", 0)),),
    ),
    "dependency_down": FaultType(
        "dependencies", ("dependency",),
        does="Calls to the dependency fail at once, those under way too; its cache still answers.",
        see="Requests that call it end as `app_error` (500), fast.",
    ),
    "dependency_slow": FaultType(
        "dependencies", ("dependency",),
        does="Calls that begin meanwhile take `factor` times as long.",
        see="Workers wait, CPU goes down: a policy that looks at CPU scales in.",
        attributes=(("factor", _FACTOR),),
    ),
    "cache_flush": FaultType(
        "dependencies", ("dependency",), lasts=False,
        does="The cache in front of the dependency is empty.",
        see="A stampede: as many calls as there are requests until the entries are back.",
    ),
}  # fmt: skip

ROLES: Final = tuple(dict.fromkeys(role for fault in FAULTS.values() for role in fault.roles))

CONDITIONS: Final[dict[str, str]] = {
    "at_maximum": "as many servers serve or come up as `fleet.app.max` allows, or more",
    "at_minimum": "as many servers serve or come up as `fleet.app.min` demands, or fewer",
    "booting": "an instance is pending or boots",
    "draining": "a server drains",
    "deploying": "a deploy is under way",
    "proxy_down": "the proxy is down",
    "fault": "the named fault is in force",
}
"""What a fault's ``while`` can wait for: how the world is, seen once a second."""
