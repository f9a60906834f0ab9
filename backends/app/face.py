"""An app server's face: from an HTTP request to a job, and from a job to the answer."""

import asyncio

from aiohttp import web

from ...core.outcomes import NAMES, Outcome
from ..live.headers import APP, CAUSE, REQUEST, TRY, write_numbers
from .answer import Answer
from .job import Demands, Job, read_try
from .server import AppServer
from .traced import ServerSpans
from .web import read_body

HEALTH = "/health"
RETRY_AFTER = "1"
QUEUE_FULL = int(Outcome.QUEUE_FULL)


class AppFace:
    """Serves *server* over HTTP. `/health` is answered without a worker, unless the plan asks for that path."""

    def __init__(self, server: AppServer, demands: Demands, spans: ServerSpans | None = None) -> None:
        self._server = server
        self._demands = demands
        self._spans = spans
        self._bodies = {endpoint.size: bytes(endpoint.size) for endpoint in demands.endpoints}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. A client that disconnects meanwhile does not end the work."""
        headers = request.headers
        text = headers.get(REQUEST)
        target = request.raw_path
        if text is None and target == HEALTH:
            return Answer(200, b"ok\n")
        body = await read_body(request)
        planned = None if text is None else self._demands.planned(text)
        tries = headers.get(TRY)
        job = self._demands.job(target, planned, 1 if tries is None else read_try(tries), len(body))
        self._server.arrive(job)
        if job.outcome == 0:
            job.waiter = asyncio.get_running_loop().create_future()
            await job.waiter
        if self._spans is not None:
            context = self._spans.begin(headers)
            if context.sampled:
                self._spans.ended(context, job, request.method, target, request.host)
        return self._answer(job)

    def _answer(self, job: Job) -> Answer:
        more = ""
        if job.name:
            more = f"{APP}: {write_numbers(job.arrived, job.started, job.cpu_done, job.served)}\r\n"
        if job.outcome == QUEUE_FULL:
            return Answer(job.status, b"queue full\n", f"{more}{CAUSE}: {NAMES[QUEUE_FULL]}\r\nRetry-After: {RETRY_AFTER}\r\n")  # fmt: skip
        size = 0 if job.error else job.endpoint.size
        return Answer(job.status, self._bodies.get(size, b""), more)
