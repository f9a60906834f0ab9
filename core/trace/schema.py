"""The spans of a request: their names, kinds and attributes, and the places that their ids come from; the one table of what is rebuilt and of what live roles record.

request (client) > each attempt (client) > proxy > each try of the proxy > app server, and in them a span for each stretch of time. Attributes follow OpenTelemetry's semantic
conventions (1.37: HTTP, database, error, service); ours begin with ``windtunnel.``.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..outcomes import GOOD, NAMES, Outcome
from .spans import CLIENT, INTERNAL, SERVER, Value

CONVENTIONS = "https://opentelemetry.io/schemas/1.37.0"
SCOPE = "windtunnel"

METHOD, ROUTE, PATH, SCHEME, FULL, STATUS, RESENT = (
    "http.request.method", "http.route", "url.path", "url.scheme", "url.full", "http.response.status_code",
    "http.request.resend_count",
)  # fmt: skip
ADDRESS, PORT, ERROR = "server.address", "server.port", "error.type"
SYSTEM, REDIS = "db.system.name", "redis"
OWN = "windtunnel."
OUTCOME, ATTEMPTS, ATTEMPT, TRIES, AT, REQUEST, SOURCE, INDEX, CONNECTED, OPERATION, CALLS = (
    OWN + name
    for name in ("outcome", "attempts", "attempt", "tries", "server", "request", "source", "index", "connection", "operation", "calls")
)  # fmt: skip

# Places of spans among those of an attempt, for their ids.
ROOT, AT_ATTEMPT, AT_PROXY, TO_SERVER, AT_SERVER = range(5)
LEAF = 16
"""LEAF + the number of the stretch."""
AFTER = LEAF + 8
_TRY = 128
_MOST_TRIES = 15

EARLIER, CONNECTION, IN_PROXY, UPSTREAM, QUEUE, CPU, WAITS, ANSWER = range(8)
"""Stretches of time, in order; what they are in words is in ``reports.stations``."""

STRETCHES: Mapping[int, str] = {
    CONNECTION: "connect and send",
    IN_PROXY: "accept and read",
    UPSTREAM: "to the server",
    QUEUE: "queue",
    CPU: "cpu",
    WAITS: "io",
    ANSWER: "answer",
}
LISTS_READ, SAMPLES_WRITTEN = "servers", "write_samples"
_REGISTRY_CALLS = {LISTS_READ: "lists read", SAMPLES_WRITTEN: "samples written"}
"""What calls of the registry are called that a rehearsal tells of too; by operation."""
LATE, BACKOFF = "sent late", "backoff"
"""What a client waits for before its first attempt, and before others."""

_AT_SERVER_FAILED = {Outcome.APP_ERROR, Outcome.QUEUE_FULL}
"""What is the server's own; a reset may have been the link's as well."""
_TRY_FAILED = {
    *_AT_SERVER_FAILED,
    Outcome.CONNECT_FAILED,
    Outcome.UPSTREAM_RESET,
    Outcome.UPSTREAM_TIMEOUT,
}
_CUT_BY_PROXY = {Outcome.REFUSED, Outcome.EVICTED}


class Asked(NamedTuple):
    """What a request asks for: method, path, and the route (endpoint) that the path belongs to."""

    method: str
    path: str
    route: str


class Said(NamedTuple):
    """All that a span says of itself but its times. *error*: what went wrong, empty if nothing did."""

    name: str
    kind: int
    attributes: dict[str, Value]
    error: str


def try_place(number: int, place: int) -> int:
    """The place of the span TO_SERVER or AT_SERVER of the *number*-th try of a proxy, from 1."""
    return place if number <= 1 else _TRY + 8 * min(number, _MOST_TRIES) + place


def failed(outcome: Outcome, attributes: dict[str, Value], status: int) -> str:
    """Put the answer's status and the error's type into *attributes*; what went wrong, empty if nothing did."""
    if status:
        attributes[STATUS] = status
    if outcome in GOOD or outcome == Outcome.PENDING:
        return ""
    attributes[ERROR] = str(status) if status >= 400 else NAMES[outcome]
    return NAMES[outcome]


def whole_request(
    row: int, source: str, index: int, attempts: int, route: str, outcome: Outcome, status: int
) -> Said:
    """A request from its planned time to its outcome; *row*: its number in the run."""
    attributes: dict[str, Value] = {
        REQUEST: row, SOURCE: source, INDEX: index, OUTCOME: NAMES[outcome], ATTEMPTS: attempts, ROUTE: route,
    }  # fmt: skip
    wrong = failed(outcome, attributes, status)
    return Said(f"request {route}", INTERNAL, attributes, wrong)


def client_attempt(
    asked: Asked, proxy: str, number: int, connection: int, outcome: Outcome, status: int
) -> Said:
    """The *number*-th attempt of a client at the *proxy* (host, perhaps with a port), on a *connection* (-1: none)."""
    attributes: dict[str, Value] = {
        METHOD: asked.method, FULL: f"http://{proxy}{asked.path}", ADDRESS: proxy.partition(":")[0],
        ATTEMPT: number, OUTCOME: NAMES[outcome],
    }  # fmt: skip
    if number > 1:
        attributes[RESENT] = number - 1
    if connection >= 0:
        attributes[CONNECTED] = connection
    wrong = failed(outcome, attributes, status)
    return Said(f"{asked.method} {asked.route}", CLIENT, attributes, wrong)


def in_proxy(asked: Asked, address: str, tries: int, outcome: Outcome, status: int) -> Said:
    """A request in the proxy at *address*, which it sent to servers *tries* times."""
    attributes: dict[str, Value] = {
        METHOD: asked.method, PATH: asked.path, SCHEME: "http", ROUTE: asked.route, ADDRESS: address, TRIES: tries,
    }  # fmt: skip
    cut = outcome in _CUT_BY_PROXY or status >= 500
    if status:
        attributes[STATUS] = status
    wrong = failed(outcome, attributes, status) if cut else ""
    return Said(f"{asked.method} {asked.route}", SERVER, attributes, wrong)


def proxy_try(asked: Asked, address: str, server: int, tries: int, outcome: Outcome, status: int) -> Said:
    """A request on its way from the proxy to a *server* (its number) at *address* (host, perhaps with a port): the last of so many *tries*."""
    attributes: dict[str, Value] = {
        METHOD: asked.method, FULL: f"http://{address}{asked.path}", ADDRESS: address.partition(":")[0],
        AT: server, TRIES: tries,
    }  # fmt: skip
    if tries > 1:
        attributes[RESENT] = tries - 1
    wrong = failed(outcome, attributes, status) if outcome in _TRY_FAILED | GOOD else ""
    return Said(asked.method, CLIENT, attributes, wrong)


def at_server(asked: Asked, address: str, server: int, outcome: Outcome, status: int) -> Said:
    """A request at app server number *server*."""
    attributes: dict[str, Value] = {
        METHOD: asked.method, PATH: asked.path, SCHEME: "http", ROUTE: asked.route, ADDRESS: address, AT: server,
    }  # fmt: skip
    wrong = failed(outcome, attributes, status) if outcome in _AT_SERVER_FAILED | GOOD else ""
    return Said(f"{asked.method} {asked.route}", SERVER, attributes, wrong)


def waiting(io: bool, calls: Sequence[str]) -> Said:
    """The stretch in which a worker waits: for *io*, and for *calls* to dependencies, by name."""
    if not calls:
        return Said(STRETCHES[WAITS], INTERNAL, {}, "")
    return Said(f"{'io and ' if io else ''}call {', '.join(calls)}", CLIENT, {CALLS: list(calls)}, "")


def registry_call(operation: str, host: str, port: int = 0, error: str = "") -> Said:
    """A call of the registry (*port* 0: not known): *operation* is the method's name."""
    attributes: dict[str, Value] = {SYSTEM: REDIS, OPERATION: operation, ADDRESS: host}
    if port:
        attributes[PORT] = port
    if error:
        attributes[ERROR] = error
    name = _REGISTRY_CALLS.get(operation, f"registry {operation.replace('_', ' ')}")
    return Said(name, CLIENT, attributes, error)


def health_check(path: str, host: str, port: int, server: int, passed: bool) -> Said:
    """An active health check of a server by the proxy."""
    attributes: dict[str, Value] = {
        METHOD: "GET",
        FULL: f"http://{host}:{port}{path}",
        ADDRESS: host,
        PORT: port,
        AT: server,
    }
    if not passed:
        attributes[ERROR] = "unhealthy"
    return Said(f"health check {path}", CLIENT, attributes, "" if passed else "unhealthy")


def cloud_call(operation: str, error: str = "") -> Said:
    """A call of the cloud's API: *operation* is the method's name."""
    attributes: dict[str, Value] = {OPERATION: operation}
    if error:
        attributes[ERROR] = error
    return Said(f"cloud {operation.replace('_', ' ')}", CLIENT, attributes, error)


def resource_attributes(name: str, instance: str, version: str, scenario: str, world: str, fingerprint: str, seed: int) -> dict[str, Value]:  # fmt: skip
    """Of a service: who it is (*name*, *instance*, *version*), in which run."""
    return {
        "service.name": name,
        "service.namespace": scenario,
        **({"service.instance.id": instance} if instance else {}),
        **({"service.version": version} if version else {}),
        "deployment.environment.name": world,
        "windtunnel.scenario_hash": fingerprint,
        "windtunnel.seed": seed,
    }
