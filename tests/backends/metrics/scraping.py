"""Scrapes as Prometheus makes them, and its rules of what may be in one (those of promtool check metrics)."""

import re
import urllib.request
from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def fetch(url: str, accept: str = "") -> tuple[str, str]:
    """The text at *url*, and its content type."""
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def scrape(url: str) -> Values:
    """All samples at *url*, in both formats, checked."""
    plain, content_type = fetch(url)
    assert content_type.startswith("text/plain; version=0.0.4"), content_type
    open_text, content_type = fetch(url, OPENMETRICS)
    assert content_type.startswith(OPENMETRICS), content_type
    assert open_text.endswith("# EOF\n")
    assert open_text.count("# EOF") == 1
    check_rules(list(read_openmetrics(open_text)), open_text)  # type: ignore[no-untyped-call]
    return check_rules(read_text(plain), plain)


def check_rules(families: Iterable[Metric], text: str) -> Values:
    """What is there, if it keeps to the rules."""
    lines = Counter(
        " ".join(line.split()[:3]) for line in text.splitlines() if re.match("# (HELP|TYPE)", line)
    )
    assert set(lines.values()) == {1}, [line for line, count in lines.items() if count > 1]
    values: Values = {}
    for family in families:
        assert re.fullmatch(r"(windtunnel|process)_[a-z_]+", family.name), family.name
        assert family.documentation.endswith("."), f"{family.name}: {family.documentation}"
        assert family.type in ("counter", "gauge", "histogram"), f"{family.name} is {family.type}"
        assert not re.search("milli|micro|nano|kilo|mega|percent|minutes|_ns|_ms", family.name), family.name
        for sample in family.samples:
            name, labels = sample.name, tuple(sorted(sample.labels.items()))
            assert (name, labels) not in values, f"{name} {labels} twice"
            assert name.endswith("_total") == (family.type == "counter"), name
            values[name, labels] = sample.value
        if family.type == "histogram":
            _check_histogram(family)
    return values


def _check_histogram(family: Metric) -> None:
    assert family.name.endswith("_seconds")
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            others = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
            series.setdefault(others, []).append((float(sample.labels["le"]), sample.value))
    counts = {tuple(sorted(s.labels.items())): s.value for s in family.samples if s.name.endswith("_count")}
    assert set(series) == set(counts)
    for labels, buckets in series.items():
        assert buckets == sorted(buckets), f"{family.name}: bounds and counts grow"
        assert len({bound for bound, _ in buckets}) == len(buckets)
        assert buckets[-1] == (float("inf"), counts[labels])


def one(values: Values, name: str, **labels: str) -> float:
    """The sample of that name and those labels."""
    return values[name, tuple(sorted(labels.items()))]


def labelled(values: Values, name: str, label: str) -> dict[str, float]:
    """The samples of that name, by one label."""
    return {dict(labels)[label]: value for (found, labels), value in values.items() if found == name}


def quantile(values: Values, name: str, share: float) -> float:
    """What PromQL's histogram_quantile says of a histogram without other labels."""
    buckets = sorted(
        (float(bound), count) for bound, count in labelled(values, f"{name}_bucket", "le").items()
    )
    rank, start, below = share * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            return start + (bound - start) * (rank - below) / (count - below)
        start, below = bound, count
    raise AssertionError("no values")
