"""An application's own metrics, second by second: what it sends, made into one value a name.

- A gauge is what was sent last; one with a sign is added to what it is.
- A counter is the sum of a second, each value divided by its sample rate; 0 in a second without any.
- A timer is the mean of a second, in the unit that was sent (milliseconds, in StatsD), and under ``NAME_p99`` the 99th percentile of its first MOST_TIMES values; in a second without any it stays
  as it was.

A name has the kind with which it came first; lines of another kind are bad ones. What was sent once is told until the application ends.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from math import ceil, isfinite
from threading import Lock

from prometheus_client.core import Metric

from .families import counter
from .limits import BadMetric, Names, checked_name
from .statsd import COUNTER, GAUGE, TIMER, Line, parse_line

LINES_A_SECOND = 10_000
"""So many lines are read in a second; what is beyond is dropped."""

MOST_TIMES = 1_000

P99 = "_p99"


class CustomValues:
    """Of one application, for several threads. *declared*: names that its scenario knows. *complain* is told of what is wrong (in words), once for each kind of mistake."""

    def __init__(self, declared: Collection[str], complain: Callable[[str], None]) -> None:
        self.lines = self.bad = self.dropped = 0
        self._names = Names(declared)
        self._complain = complain
        self._said: set[str] = set()
        self._lock = Lock()
        self._budget = LINES_A_SECOND
        self._kinds: dict[str, str] = {}
        self._values: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._times: dict[str, list[float]] = {}
        self._counts: dict[str, int] = {}

    def told(self, found: Mapping[str, float]) -> None:
        """Gauges that came by another way than in lines."""
        for name, value in found.items():
            try:
                self._take(Line(checked_name(name), GAUGE, (value,)))
            except BadMetric as error:
                self._bad("told", str(error))

    def datagram(self, data: bytes) -> bool:
        """Lines that came together; False if there were too many in this second, and the rest of them is dropped."""
        lines = [line for line in data.split(b"\n") if line.strip()]
        for number, line in enumerate(lines):
            with self._lock:
                if self._budget <= 0:
                    self.dropped += len(lines) - number
                    self._say("flood", f"the application sends more than {LINES_A_SECOND:,} metrics a second; the rest is dropped")  # fmt: skip
                    return False
                self._budget -= 1
                self.lines += 1
            try:
                self._take(parse_line(line.rstrip(b"\r").decode("ascii")))
            except BadMetric as error:
                self._bad("line", str(error))
            except UnicodeDecodeError:
                self._bad("text", f"expected ASCII, got {line[:80]!r}")
        return True

    def _bad(self, kind: str, words: str) -> None:
        with self._lock:
            self.bad += 1
            self._say(kind, f"a metric of the application is not understood: {words} (said once; the others are counted)")  # fmt: skip

    def _say(self, kind: str, words: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._complain(words)

    def _take(self, line: Line) -> None:
        """Raises BadMetric."""
        with self._lock:
            self._names.admit(line.name)
            kind = self._kinds.setdefault(line.name, line.kind)
            if kind != line.kind:
                raise BadMetric(f"expected {line.name} to be a {kind}, as it was before, got a {line.kind}")
            match kind:
                case "gauge":
                    for value in line.values:
                        before = self._values.get(line.name, 0.0) if line.relative else 0.0
                        self._values[line.name] = before + value
                case "counter":
                    self._sums[line.name] = self._sums.get(line.name, 0.0) + sum(line.values) / line.rate
                case "timer":
                    self._sums[line.name] = self._sums.get(line.name, 0.0) + sum(line.values)
                    self._counts[line.name] = self._counts.get(line.name, 0) + len(line.values)
                    times = self._times.setdefault(line.name, [])
                    times.extend(line.values[: MOST_TIMES - len(times)])

    def second(self) -> Mapping[str, float]:
        """The values of the second that ends now, by name."""
        with self._lock:
            self._budget = LINES_A_SECOND
            for name, kind in self._kinds.items():
                if kind == COUNTER:
                    self._values[name] = self._sums.get(name, 0.0)
                elif kind == TIMER and name in self._counts:
                    self._values[name] = self._sums[name] / self._counts[name]
                    times = sorted(self._times[name])
                    self._values[name + P99] = times[ceil(0.99 * len(times)) - 1]
            self._sums, self._counts, self._times = {}, {}, {}
            return {name: value for name, value in sorted(self._values.items()) if isfinite(value)}

    def collect(self) -> Iterator[Metric]:
        """How many lines there were. (The values are among what the monitors see.)"""
        yield counter("windtunnel_custom_lines", "Lines of StatsD that the application sent.", self.lines)
        yield counter("windtunnel_custom_lines_bad", "Of these, such as were not understood.", self.bad)
        yield counter("windtunnel_custom_lines_dropped", "Lines that were too many for their second and dropped.", self.dropped)  # fmt: skip
