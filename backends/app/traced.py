"""An app server's spans of requests whose trace is kept: made when they are answered, from the times that the job knows."""

from multidict import CIMultiDictProxy

from ...core.outcomes import NAMES, Outcome
from ...core.trace import schema
from ...core.trace.context import PARENT, STATE
from ...core.trace.ids import beside
from ...core.trace.schema import (
    AT_SERVER,
    CPU,
    LEAF,
    QUEUE,
    STRETCHES,
    TO_SERVER,
    WAITS,
    Asked,
    Said,
    try_place,
)
from ...core.trace.spans import INTERNAL
from ..live.tracing import Context, Tracing
from .job import Job

_APP_ERROR = int(Outcome.APP_ERROR)


class ServerSpans:
    """Of server *number*."""

    def __init__(self, tracing: Tracing, number: int) -> None:
        self._tracing = tracing
        self._number = number

    def begin(self, headers: CIMultiDictProxy[str]) -> Context:
        """The trace of a request with these *headers*. More than one ``traceparent`` is none."""
        parents = headers.getall(PARENT, ())
        return self._tracing.begin(parents[0] if len(parents) == 1 else "", list(headers.getall(STATE, ())))

    def _stretch(self, station: int, job: Job) -> Said:
        if station != WAITS:
            return Said(STRETCHES[station], INTERNAL, {}, "")
        dependencies = self._tracing.settings.fleet.dependencies
        return schema.waiting(
            job.endpoint.io is not None, [dependencies[call].name for call in job.endpoint.calls]
        )

    def ended(self, context: Context, job: Job, method: str, target: str, host: str) -> None:
        """A request of a trace that is kept has its answer."""
        tracing, now = self._tracing, self._tracing.clock.now()
        known = bool(context.parent and job.name)
        place = try_place(job.tries, AT_SERVER)
        id_ = beside(context.parent, try_place(job.tries, TO_SERVER), place) if known else tracing.span_id()
        path = target.partition("?")[0]
        asked = Asked(method, path, job.endpoint.path)
        said = schema.at_server(asked, host, self._number, Outcome(job.outcome), job.status)
        end = job.served if job.served >= 0 else now
        start = job.arrived if job.arrived >= 0 else now
        tracing.add(context, id_, context.parent, said, start, end, afar=True)
        moments = (job.arrived, job.started, job.cpu_done, job.served)
        for station, begun, over in zip((QUEUE, CPU, WAITS), moments, moments[1:], strict=False):
            if 0 <= begun < over:
                stretch = beside(id_, place, LEAF + station)
                tracing.add(context, stretch, id_, self._stretch(station, job), begun, over, station=station)
        if said.error:
            words = f"answered {job.status}: {NAMES[job.outcome].replace('_', ' ')}"
            tracing.log(context, id_, "error" if job.outcome == _APP_ERROR else "warning", words)
