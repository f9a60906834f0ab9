"""``windtunnel fit``: a draft of a scenario from an access log and, if there is one, a file of metrics.

The log is read twice, in chunks: first its rates and paths, then durations and sizes for the endpoints that the paths suggest. Memory is bounded by
the seconds of the log (16 bytes each), not by its requests. The same files give the same draft, to the byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .access_log import LONGEST_DAYS, since_first
from .fit_durations import Samples
from .fit_metrics import read_metrics
from .fit_paths import PathCounts, template_of
from .fit_rates import SecondCounts
from .fit_text import Answers, LogFacts, draft_text
from .log_lines import AccessLogError, BadLines, Column, Memo, batches, none_readable
from .paths import DEFAULT_PATH, PathMatcher


@dataclass
class _FirstLook:
    bad: BadLines = field(default_factory=BadLines)
    seconds: SecondCounts = field(default_factory=SecondCounts)
    paths: PathCounts = field(default_factory=PathCounts)


def draft(log: Path, metrics: Path | None = None) -> str:
    """The text of a scenario file drafted from *log* and *metrics*. Raises UsageError."""
    measured = read_metrics(metrics) if metrics else None
    first = _look(log)
    paths = first.paths.endpoints()
    answers = _answers(log, paths)
    seconds = first.seconds.dense()
    days = len(seconds) / 86_400
    if days > LONGEST_DAYS:
        raise AccessLogError(f"{log}: expected a log of at most {LONGEST_DAYS} days, got {days:.0f}")
    facts = LogFacts(str(log), first.bad, seconds, answers)
    return draft_text(facts, str(metrics) if metrics else "", measured)


def _look(log: Path) -> _FirstLook:
    look = _FirstLook()
    templates: Memo[bytes | str, str] = Memo(template_of)
    base: int | None = None
    for batch in batches(log):
        look.bad.add(batch)
        if not len(batch.times):
            continue
        base = int(batch.times[0]) if base is None else base
        # The first request is in second 0 wherever its own second began.
        look.seconds.add((since_first(batch, base, log) + base % 1_000_000) // 1_000_000)
        look.paths.add([templates[target] for target in batch.targets])
    if base is None:
        raise none_readable(log, look.bad)
    return look


def _answers(log: Path, paths: Sequence[str]) -> list[Answers]:
    """What each endpoint was asked and answered, ``default`` last; requests count for endpoints as ``access_log`` counts them."""
    matcher = PathMatcher(paths)
    numbers: Memo[bytes | str, int] = Memo(matcher.number)
    found = [Answers(path, Samples()) for path in [*paths, DEFAULT_PATH]]
    for batch in batches(log, answers=True):
        endpoint = np.fromiter(map(numbers.__getitem__, batch.targets), np.int64, len(batch.targets))
        for number, answers in enumerate(found):
            _add(answers, endpoint == number, batch.sizes, batch.durations)
    return [answers for answers in found if answers.count]


def _add(answers: Answers, chosen: Column, sizes: Column, durations: Column) -> None:
    answers.count += int(np.count_nonzero(chosen))
    known = sizes[chosen & (sizes >= 0)]
    answers.sized += len(known)
    answers.bytes += int(known.sum())
    answers.durations.add(durations[chosen])
