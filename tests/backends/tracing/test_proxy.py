"""traceparent through the live proxy: from foreign clients, to foreign applications, and as spans that a collector gets."""

import asyncio

import pytest
from windtunnel.core.model import ProxySpec
from windtunnel.core.trace.context import read_parent
from windtunnel.core.trace.ids import beside
from windtunnel.core.trace.schema import AT_ATTEMPT, AT_PROXY, TO_SERVER

from ..proxy.fleet import App, Request, fleet, hello, play
from .collector import Collector, Got, collecting
from .roles import tracing_into

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def parent(flags: str = "01", trace: str = TRACE) -> bytes:
    return f"traceparent: 00-{trace}-{SPAN}-{flags}\r\n".encode()


async def reset(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def of_trace(collector: Collector, trace: str) -> dict[str, Got]:
    return {span.id: span for span in collector.spans if span.trace == trace}


def test_a_foreign_clients_trace_goes_on_at_a_foreign_application(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with fleet(hello, tracing=tracing) as world:
            await world.get("/a?b=c", parent() + b"tracestate: vendor=x, ot=th:0\r\n")
            await world.get("/", b"TraceParent: 00-" + TRACE.encode() + b"-" + SPAN.encode() + b"-01\r\n")
            sent.extend(world.apps[0].requests)

    sent: list[Request] = []
    with collecting() as collector:
        with tracing_into(collector.url, monkeypatch) as (tracing, _):
            play(story())
        spans = of_trace(collector, TRACE)
    assert len(sent) == 2
    for request, path in zip(sent, ("/a", "/"), strict=True):
        given = read_parent(request.one("traceparent"))
        assert given is not None
        assert (given.trace, given.flags) == (TRACE, 1)
        to_server = spans[given.span]
        in_proxy = spans[to_server.parent]
        assert in_proxy.parent == SPAN
        assert (in_proxy.kind, to_server.kind) == (2, 3)
        assert in_proxy.attributes["url.path"] == path
        assert in_proxy.attributes["http.request.method"] == "GET"
        assert in_proxy.attributes["http.response.status_code"] == 200
        assert to_server.attributes["server.address"] == "127.0.0.1"
        assert in_proxy.start <= to_server.start <= to_server.end <= in_proxy.end
        assert in_proxy.resource["service.name"] == "proxy"
    assert sent[0].one("tracestate") == "vendor=x,ot=th:0"
    assert {span.state for span in spans.values()} == {"vendor=x,ot=th:0", ""}


def test_what_is_not_sampled_goes_on_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with fleet(hello, tracing=tracing) as world:
            await world.get("/", parent("02"))
            await world.get("/", parent("00") + b"tracestate: a=1\r\n")
            sent.extend(world.apps[0].requests)

    sent: list[Request] = []
    with collecting() as collector:
        with tracing_into(collector.url, monkeypatch) as (tracing, _):
            play(story())
        assert collector.spans == []
    assert [request.one("traceparent") for request in sent] == [f"00-{TRACE}-{SPAN}-{f}" for f in ("02", "00")]  # fmt: skip
    assert sent[1].one("tracestate") == "a=1"


@pytest.mark.parametrize(
    "lines",
    [
        b"", b"traceparent: nonsense\r\n", parent(trace="0" * 32), parent() + parent(), parent("01") + b"Traceparent: x\r\n",
        b"traceparent: ff" + parent()[15:],
    ],
)  # fmt: skip
def test_without_a_valid_parent_a_trace_begins(monkeypatch: pytest.MonkeyPatch, lines: bytes) -> None:
    async def story() -> None:
        async with fleet(hello, tracing=tracing) as world:
            await world.get("/", lines + b"tracestate: a=1\r\n")
            sent.extend(world.apps[0].requests)

    sent: list[Request] = []
    with collecting() as collector, tracing_into(collector.url, monkeypatch) as (tracing, _):
        play(story())
    given = read_parent(sent[0].one("traceparent"))
    assert given is not None
    assert given.trace != TRACE
    assert sent[0].all("tracestate") == ["ot=th:0"]
    (first,) = [span for span in collector.spans if not span.parent]
    assert first.trace == given.trace
    assert {span.trace for span in collector.spans} == {given.trace}


def test_no_line_hides_behind_a_traceparent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with fleet(hello, tracing=tracing) as world:
            hidden = b"traceparent: 00-\r\nContent-Length: 5\r\nX-Filler: "
            client = await world.client()
            start = b"GET / HTTP/1.1\r\nHost: x\r\n"
            reply = await client.ask(start + hidden.ljust(13 + 55, b"f") + b"\r\n\r\nhello" + start + b"\r\n")
            assert reply.status == 200
            assert (await client.reply()).status == 200
            refused = await world.client()
            assert (
                await refused.ask(start + b"traceparent: 0\n".ljust(13 + 55, b"0") + b"\r\n\r\n")
            ).status == 400
            sent.extend(world.apps[0].requests)

    sent: list[Request] = []
    with collecting() as collector, tracing_into(collector.url, monkeypatch) as (tracing, _):
        play(story())
    assert [request.content for request in sent] == [b"hello", b""]


def test_each_try_is_a_span_and_a_failure_a_line_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with fleet(reset, reset, spec=ProxySpec(retry_attempts=1), tracing=tracing) as world:
            reply = await world.get("/", parent())
            assert reply.status == 502
            sent.extend(request for app in world.apps for request in app.requests)

    sent: list[Request] = []
    with collecting() as collector:
        with tracing_into(collector.url, monkeypatch) as (tracing, link):
            play(story())
        spans = of_trace(collector, TRACE)
    tries = {span.id: span for span in spans.values() if span.kind == 3}
    assert len(tries) == len(sent) == 2
    assert {read_parent(request.one("traceparent")).span for request in sent} == set(tries)  # type: ignore[union-attr]
    assert [span.error for span in tries.values()] == ["upstream_reset"] * 2
    (whole,) = [span for span in spans.values() if span.kind == 2]
    assert (whole.error, whole.attributes["error.type"]) == ("upstream_reset", "502")
    assert whole.attributes["windtunnel.tries"] == 2
    assert sorted(span.attributes.get("http.request.resend_count", 0) for span in tries.values()) == [0, 1]
    assert {line["span_id"] for line in link.logged if line.get("trace_id") == TRACE} == set(tries)
    assert {line.id for line in collector.logs if line.trace == TRACE} == set(tries)


def test_a_planned_requests_spans_have_the_ids_of_what_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with fleet(hello, tracing=tracing) as world:
            await world.get("/", b"windtunnel-request: 0-7-1\r\n" + parent("03"))
            sent.extend(world.apps[0].requests)

    sent: list[Request] = []
    with collecting() as collector:
        with tracing_into(collector.url, monkeypatch) as (tracing, _):
            play(story())
        spans = of_trace(collector, TRACE)
    in_proxy = beside(SPAN, AT_ATTEMPT, AT_PROXY)
    to_server = beside(SPAN, AT_ATTEMPT, TO_SERVER)
    assert spans[in_proxy].parent == SPAN
    assert spans[to_server].parent == in_proxy
    assert sent[0].one("traceparent") == f"00-{TRACE}-{to_server}-03"


def test_a_share_of_what_begins_here_is_kept_and_the_rest_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with fleet(hello, tracing=tracing) as world:
            client = await world.client()
            for _ in range(200):
                await client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            sent.extend(world.apps[0].requests)

    sent: list[Request] = []
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    with collecting() as collector:
        with tracing_into(collector.url, monkeypatch, **sampler) as (tracing, _):
            play(story())
        kept = {span.trace for span in collector.spans}
    given = [read_parent(request.one("traceparent")) for request in sent]
    assert len({one.trace for one in given if one}) == 200
    sampled = {one.trace for one in given if one and one.sampled}
    assert sampled == kept
    assert 20 < len(kept) < 90
    assert all((request.all("tracestate") == ["ot=th:c"]) == bool(one and one.sampled) for request, one in zip(sent, given, strict=True))  # fmt: skip
    assert all(int(trace[18:], 16) >= 0xC0000000000000 for trace in kept)


def test_without_tracing_the_headers_pass_as_they_are() -> None:
    async def story() -> None:
        async with fleet(hello) as world:
            for _ in range(2):
                await world.get("/", parent() + b"Tracestate: a=1\r\nX-Other: y\r\n")
            await world.get("/", b"Connection: traceparent\r\n" + parent() + b"tracestate: a=1\r\n")
            app: App = world.apps[0]
            sent.extend(app.requests)

    sent: list[Request] = []
    play(story())
    assert [request.one("traceparent") for request in sent[:2]] == [f"00-{TRACE}-{SPAN}-01"] * 2
    assert [request.one("tracestate") for request in sent] == ["a=1"] * 3
    assert sent[2].all("traceparent") == []
