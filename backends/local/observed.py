"""What the registry tells of a server that is no process of ours, in the words of one that is."""

from ...core.model import SECOND, AppSpec
from ...core.ports import Sample
from .process import Line


def second_of(sample: Sample, app: AppSpec) -> Line:
    """The ``second`` of a server by its last sample; it has the size that *app* says."""
    return {
        "requests": sample.requests,
        "in_flight": sample.in_flight,
        "memory": int(sample.memory * max(app.memory.total, 0)),
        "cpu_ns": int(sample.cpu * app.cores * SECOND),
    }
