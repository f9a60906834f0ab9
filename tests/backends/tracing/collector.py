"""A collector that takes OTLP over HTTP on loopback and keeps what it gets."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Got:
    """A span, or a line of a log (its *name* is what it says)."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    state: str = ""
    error: str = ""
    events: list[str] = field(default_factory=list)

    @property
    def service(self) -> str:
        return str(self.resource["service.name"])


class Collector:
    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Got] = []
        self.logs: list[Got] = []
        self.headers: list[dict[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner

    async def open(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/traces", self._traces)
        app.router.add_post("/v1/logs", self._logs)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _traces(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        message = ExportTraceServiceRequest.FromString(await request.read())
        for group in message.resource_spans:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Got(
                            span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, span.kind,
                            span.start_time_unix_nano, span.end_time_unix_nano, attributes(span.attributes), resource,
                            span.trace_state, span.status.message, [event.name for event in span.events],
                        )
                    )  # fmt: skip
        return web.Response(body=b"", content_type="application/x-protobuf")

    async def _logs(self, request: web.Request) -> web.Response:
        message = ExportLogsServiceRequest.FromString(await request.read())
        for group in message.resource_logs:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_logs:
                for line in scope.log_records:
                    time = line.time_unix_nano
                    self.logs.append(
                        Got(
                            line.trace_id.hex(), line.span_id.hex(), "", line.body.string_value, 0, time, time,
                            attributes(line.attributes), resource,
                        )
                    )  # fmt: skip
        return web.Response(body=b"", content_type="application/x-protobuf")


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector while it runs, in a thread of its own."""
    collector = Collector()
    loop = collector._loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(collector.open(), loop).result(20)
    try:
        yield collector
    finally:
        asyncio.run_coroutine_threadsafe(collector.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
