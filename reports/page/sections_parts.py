"""The section about the proxy and the dependencies."""

import numpy as np

from ...core.slo import percentile
from ..facts import Peak
from ..wording import duration, moment, share
from .markup import paragraph, table
from .report_data import ReportData


def parts(data: ReportData) -> str:
    """Both."""
    return proxy(data) + "<h3>Dependencies</h3>\n" + dependencies(data)


def proxy(data: ReportData) -> str:
    """What the proxy used of its limits."""
    facts, spec = data.facts, data.evidence.fleet.proxy
    rows = [
        _limit("descriptors", facts.descriptors, spec.max_connections, 1, ""),
        _limit("accept queue", facts.accept_queue, spec.backlog, 1, ""),
        _limit("memory", facts.proxy_memory, spec.memory.total, 2**20, " MiB"),
    ]
    busy = facts.proxy_busy
    rows.append(("event loop", share(busy.value), "100%", share(busy.value), moment(busy.at)))
    text = table(("sampled each second", "most in use", "limit", "share", "at"), rows, (1, 2, 3))
    for down, up in facts.proxy_down:
        text += paragraph(
            f"Down at {moment(down)}" + (f", up again at {moment(up)}." if up >= 0 else ", for good.")
        )
    return text


def _limit(what: str, peak: Peak, limit: int, scale: int, unit: str) -> tuple[str, ...]:
    used = f"{peak.value / scale:,.0f}{unit}"
    at = moment(peak.at) if peak.value else ""
    if limit <= 0:
        return what, used, "none", "", at
    return what, used, f"{limit / scale:,.0f}{unit}", share(peak.value / limit), at


def dependencies(data: ReportData) -> str:
    """Time between the end of the CPU and the answer, by endpoint that calls something."""
    fleet = data.evidence.fleet
    if not fleet.dependencies:
        return paragraph("The fleet has no dependencies.")
    specs = [
        (
            one.name, f"{one.concurrency:,}", f"{one.queue:,}" if one.queue >= 0 else "unlimited",
            f"{share(one.cache.hit_share)} of calls, {duration(one.cache.ttl)}" if one.cache else "none",
        )
        for one in fleet.dependencies
    ]  # fmt: skip
    text = table(("dependency", "calls at once", "queue", "cache"), specs, (1, 2))
    rows = []
    for wait in data.waits:
        ordered = np.sort(wait.waited)
        values = [duration(percentile(ordered, value)) for value in (0.5, 0.95, 0.99)]
        rows.append(
            (
                wait.path,
                ", ".join(wait.calls),
                "yes" if wait.with_io else "no",
                f"{len(ordered):,}",
                *values,
                duration(int(ordered[-1])),
            )
        )
    if not rows:
        return text + paragraph("No request that calls a dependency was served.")
    header = ("endpoint", "calls", "io of its own", "served", "p50", "p95", "p99", "max")
    return (
        text
        + table(header, rows, range(3, 8))
        + paragraph(
            "Calls are not recorded one by one. What is shown is the time of an attempt between the end of its CPU time and the leaving of its answer: "
            "its own io and all its calls, the wait for a free place at the dependency included."
        )
    )
