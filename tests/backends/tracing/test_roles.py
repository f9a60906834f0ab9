"""What the load generator sends, and what an app server makes of it, each as the role itself."""

import http.client
import threading
from collections import defaultdict

import pytest
from windtunnel.backends.live.clock import EPOCH, LiveClock
from windtunnel.backends.live.settings import AppSettings
from windtunnel.backends.live.tracing import FLIGHT
from windtunnel.backends.load.heads import Heads
from windtunnel.backends.load.traced import ClientSpans, TracedHeads
from windtunnel.core.trace.context import read_parent
from windtunnel.core.trace.ids import Ids, beside, scope_of, trace_key
from windtunnel.core.trace.schema import AT_ATTEMPT, AT_SERVER, LEAF, QUEUE, TO_SERVER

from ...support import plan
from ..app.running import NOBODY, Role, document, fleet_of, until
from ..redis_fixture import free_port
from .collector import collecting
from .roles import tracing_into

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_planned_requests_carry_the_ids_that_reports_derive(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(document())
    ratio = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    with tracing_into("", monkeypatch, **ratio) as (tracing, _):
        spans = ClientSpans(tracing, made, "127.0.0.1:1")
        spans.begin(17)
        heads = TracedHeads(made, "127.0.0.1:1", spans)
        plain = Heads(made.fleet, "127.0.0.1:1")
        ids = Ids(made.fleet.seed, scope_of(made.fingerprint, FLIGHT, EPOCH + 17))
        sampled = 0
        for index in (0, 1, 1023, 1024, 70_000, 2):
            for attempt in (1, 2):
                head = heads.head(0, 0, 0, index, attempt)
                lines = dict(line.split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:])
                (key,) = (trace_key(*(int(one[0]) for one in ids.requests("users", [index]))),)
                parent = read_parent(lines[b"traceparent"].decode())
                assert parent is not None
                assert (parent.trace, parent.span) == (key.trace, key.span(attempt, AT_ATTEMPT))
                assert parent.sampled == (int(key.trace[18:], 16) >= 1 << 55)
                assert lines.get(b"tracestate", b"") == (b"ot=th:8" if parent.sampled else b"")
                rest = [line for line in head.split(b"\r\n") if not line.startswith(b"trace")]
                assert b"\r\n".join(rest) == plain.head(0, 0, 0, index, attempt)
                sampled += parent.sampled
    assert 0 < sampled < 12


def test_an_app_server_records_what_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        fleet = fleet_of({"cpu": {"constant": "20ms"}}, workers=1, cores=1, queue=0)
        port = free_port()
        settings = AppSettings(
            origin=LiveClock.begin().origin, fleet=fleet, redis_url=NOBODY, number=3, role="serving", host="127.0.0.1", port=port,
        )  # fmt: skip
        role = Role("app", settings)
        try:
            role.wait("up")
            planned = {"traceparent": f"00-{TRACE}-{SPAN}-03", "windtunnel-request": "0-1-1"}
            answers: dict[str, list[int]] = defaultdict(list)

            def ask(name: str, headers: dict[str, str]) -> None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", "/?x=1", headers=headers)
                answers[name].append(connection.getresponse().status)
                connection.close()

            ask("planned", planned)
            ask("unsampled", {"traceparent": f"00-{'a' * 32}-{SPAN}-00"})
            crowd = [threading.Thread(target=ask, args=("crowd", {"traceparent": f"00-{'b' * 32}-{SPAN}-01"})) for _ in range(8)]  # fmt: skip
            for one in crowd:
                one.start()
            for one in crowd:
                one.join()
            role.end()
        finally:
            role.process.kill()
        until(lambda: collector.spans, "spans")
    own = {span.id: span for span in collector.spans if span.trace == TRACE}
    at = beside(SPAN, TO_SERVER, AT_SERVER)
    assert (own[at].parent, own[at].kind, own[at].name) == (SPAN, 2, "GET /")
    assert own[at].attributes["url.path"] == "/"
    assert own[at].attributes["windtunnel.server"] == 3
    (cpu,) = [span for span in own.values() if span.name == "cpu"]
    assert (cpu.parent, cpu.end - cpu.start >= 20_000_000) == (at, True)
    assert beside(at, AT_SERVER, LEAF + QUEUE) in own
    assert not [span for span in collector.spans if span.trace == "a" * 32]
    crowded = [span for span in collector.spans if span.trace == "b" * 32 and span.kind == 2]
    assert len(crowded) == len({span.id for span in crowded}) == 8
    full = [span for span in crowded if span.error == "queue_full"]
    assert len(full) == answers["crowd"].count(503) > 0
    said = {line.id for line in collector.logs if line.name == "answered 503: queue full"}
    assert said == {span.id for span in full}
    away = [
        span for span in collector.spans if span.attributes.get("db.system.name") == "redis" and span.error
    ]
    assert away, "the registry is nowhere, which is kept"
    assert role.said("traced")[0]["lost"] == 0
