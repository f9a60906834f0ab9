"""The section about servers: charts, lives, greatest samples, canaries against the others."""

from ...core.records import PROXY_MEASURES
from ..wording import duration, moment, share
from .canary import sides
from .markup import folding, paragraph, table
from .report_data import ReportData
from .sections_charts import instances
from .sections_fleet import lives, sampled


def servers(data: ReportData) -> str:
    """All of it, the canaries only where there were some."""
    against = canaries(data)
    text = (
        instances(bool(against), sorted(set(data.evidence.measured) - set(PROXY_MEASURES)))
        + sampled(data)
        + "<h3>Lives</h3>\n"
        + lives(data)
    )
    return text + (f"<h3>Canary against baseline</h3>\n{against}" if against else "")


def canaries(data: ReportData) -> str:
    """Both sides as figures, and what the analyses said; empty without canaries."""
    both = sides(data.evidence)
    if both is None:
        return ""
    rows = []
    for name, side in zip(("canary", "baseline"), both, strict=True):
        failed = share(side.failed / side.attempts) if side.attempts else ""
        times = [duration(value) for value in side.percentiles] or ["", "", ""]
        rows.append((name, f"{side.servers:,}", f"{side.attempts:,}", f"{side.failed:,}", failed, *times))
    header = ("", "servers", "attempts", "failed", "share", "p50", "p95", "p99")
    told = "Attempts that ended at them while there was a canary; times are those at the server, of attempts answered as planned."
    text = table(header, rows, range(1, 8)) + paragraph(told)
    looks = [
        (moment(event["t"]), event["deploy"], event["verdict"], event["reason"])
        for event in data.evidence.happened("analysis")
    ]
    return text + (folding("analyses", ("at", "deploy", "verdict", "why"), looks) if looks else "")
