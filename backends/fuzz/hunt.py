"""The hunt: cases are fired one after another, what is wrong with an answer is shrunk, and each distinct finding is kept."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...core.errors import UsageError
from ...scenarios.fuzz.cases import Case, Generator
from ...scenarios.fuzz.requests import Request
from ...scenarios.fuzz.wire import Step, Wire
from ...scenarios.scenario import Scenario
from ..load.targets import Target
from .corpus import Finding, load, save
from .exchange import ANSWERED, BROKEN, CLOSED, REFUSED, SILENT, Exchange, fire
from .judge import FRAMING, Explained, Judge, Verdict

DOWN, POISONED = "down", "poisoned"
_BYSTANDERS = 2
"""After hostile bytes so many plain requests must be answered as before: one may take over a connection that the bytes have left in a bad state."""
_DISTINCT = 3
"""Of one kind so many findings that stay different when shrunk are kept; further ones are counted."""
_TRIED = 5
"""So many of one kind are shrunk to see whether they are different."""
_LONG_QUIET = 1.0
"""Seconds without a byte after which nobody is only slow."""
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Hunting:
    """Whom to fire at, and how long for. *direct*: an app server behind the proxy; *bystander*: the target of plain requests; times in seconds; *scenario*: its fleet is the findings' own."""

    proxy: Target
    direct: Target | None
    explained: Explained
    corpus: Path
    bystander: str = "/"
    patience: float = 5.0
    seconds: float = 300.0
    shrinking: float = 20.0
    recovery: float = 5.0
    scenario: Scenario | None = None


@dataclass
class Hunted:
    """The outcome: cases fired, findings with their files, and *notes* on what could not be done."""

    fired: int = 0
    findings: list[tuple[Finding, Path]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Hunt:
    """One hunt. Raises UsageError at its beginning if nobody answers."""

    def __init__(self, hunting: Hunting) -> None:
        self._options = hunting
        self._plain = Wire("bystander", (Step(_plain(hunting.bystander)),), ("GET",), 1, True)
        self.outcome = Hunted()
        self._gone = False
        self._direct = hunting.direct
        self._baseline = self._known(hunting.proxy, "proxy")
        bodies = self._direct is not None and self._same_content(self._direct)
        self._judge = Judge(hunting.explained, bodies)
        self._kept: dict[str, list[Finding]] = {}
        self._tried: Counter[str] = Counter()

    def run(
        self, generator: Generator, count: int, watch: Callable[[int, int], None] | None = None
    ) -> Hunted:
        """Fire the first *count* cases of *generator*; *watch* is told how many were fired and how many findings there are."""
        due = time.monotonic() + self._options.seconds
        for case in generator.cases(count):
            if self._gone or time.monotonic() > due:
                why = (
                    "the proxy does not come back" if self._gone else f"{self._options.seconds:g} s are over"
                )
                self.outcome.notes.append(f"stopped after {self.outcome.fired} of {count} requests: {why}")
                break
            found = self._look(case.wire, case.request)
            self.outcome.fired += 1
            if found is not None:
                self._found(generator, case, found)
            if watch is not None:
                watch(self.outcome.fired, sum(map(len, self._kept.values())))
        return self.keep()

    def keep(self) -> Hunted:
        """Write the findings so far; the outcome."""
        options = self._options
        self.outcome.findings = [
            (finding, save(options.corpus, finding, options.bystander, options.scenario))
            for finding in self._all()
        ]
        return self.outcome

    @property
    def gone(self) -> bool:
        """Whether the proxy accepted no connections any more."""
        return self._gone

    def again(self, directory: Path) -> Iterator[tuple[str, str, Verdict | None]]:
        """Fire the findings of *directory* again: the file, what was wrong, and what is wrong now."""
        for name, wire, request, kind in load(directory):
            if self._gone:
                self.outcome.notes.append(f"{name} was not fired: the proxy does not come back")
                continue
            found = self._look(wire, request)
            self.outcome.fired += 1
            yield name, kind, None if found is None else found[0]

    def _all(self) -> Iterable[Finding]:
        return (finding for kept in self._kept.values() for finding in kept)

    def _look(self, wire: Wire, request: Request | None) -> tuple[Verdict, Exchange, Exchange | None] | None:
        """Fire once, and judge."""
        options = self._options
        seen = fire(options.proxy, wire, options.patience)
        if seen.how in (REFUSED, BROKEN, CLOSED, SILENT) and not self._is_up():
            back = self._comes_back()
            text = "the proxy accepts no connections any more" + (", and came back later" if back else "")
            return Verdict(DOWN, text), seen, None
        direct = (
            None if self._direct is None or not wire.reads else fire(self._direct, wire, options.patience)
        )
        if direct is not None and direct.how == REFUSED:
            self.outcome.notes.append(
                "the app server accepts no connections any more: nothing is compared from here on"
            )
            self._direct = direct = None
        verdict = self._judge.verdict(wire, request, seen, direct)
        if verdict is not None and verdict.kind == FRAMING and self._direct is not None:
            # One of them may only have been slow.
            seen, direct = (
                fire(one, wire, options.patience, _LONG_QUIET) for one in (options.proxy, self._direct)
            )
            verdict = self._judge.verdict(wire, request, seen, direct)
        if verdict is None and request is None:
            verdict = self._bystanders()
        return None if verdict is None else (verdict, seen, direct)

    def _bystanders(self) -> Verdict | None:
        """Whether plain requests of others are answered as before."""
        for _ in range(_BYSTANDERS):
            seen = fire(self._options.proxy, self._plain, self._options.patience)
            if seen.how == REFUSED and not self._is_up():
                self._comes_back()
                return Verdict(DOWN, "the proxy accepts no connections any more")
            if seen.how != ANSWERED:
                return Verdict(
                    f"{POISONED} {seen.how}", f"a plain request of somebody else's afterwards: {seen.how}"
                )
            before, now = self._baseline.replies.complete[0], seen.replies.complete[0]
            if now.status != before.status or (now.content != before.content and self._judge.bodies):
                text = f"a plain request of somebody else's afterwards is answered {now.status} with {len(now.content)} bytes, before: {before.status} with {len(before.content)}"
                return Verdict(f"{POISONED} {now.status}", text)
        return None

    def _found(
        self, generator: Generator, case: Case, found: tuple[Verdict, Exchange, Exchange | None]
    ) -> None:
        verdict, seen, direct = found
        kept = self._kept.setdefault(verdict.kind, [])
        self._tried[verdict.kind] += 1
        if len(kept) >= _DISTINCT or self._tried[verdict.kind] > _TRIED:
            kept[0] = replace(kept[0], times=kept[0].times + 1)
            return
        finding = Finding(verdict, case.wire, case.request, seen, direct, generator.seed, case.number)
        if not self._gone:
            finding = self._shrunk(generator, case, finding)
        for place, other in enumerate(kept):
            if other.wire.data == finding.wire.data:
                kept[place] = replace(other, times=other.times + 1)
                return
        kept.append(finding)

    def _shrunk(self, generator: Generator, case: Case, finding: Finding) -> Finding:
        from .shrinking import shrink

        looks: dict[tuple[Wire, Request | None], tuple[Verdict, Exchange, Exchange | None]] = {}

        def still(made: tuple[Wire, Request | None]) -> bool:
            if self._gone:
                return False
            found = self._look(*made)
            if found is None or found[0].kind != finding.verdict.kind:
                return False
            looks[made] = found
            return True

        def size(made: tuple[Wire, Request | None]) -> int:
            return len(made[0].data)

        least = shrink(generator.case, case.choices, still, size, self._options.shrinking)
        if least is None:
            self.outcome.notes.append(
                f"{finding.verdict.kind} (number {case.number}) did not happen again when it was tried"
            )
            return finding
        verdict, seen, direct = looks[least]
        simpler = least[0].data != case.wire.data
        return replace(
            finding,
            verdict=verdict,
            wire=least[0],
            request=least[1],
            seen=seen,
            direct=direct,
            shrunk=simpler,
        )

    def _known(self, target: Target, what: str) -> Exchange:
        """The answer to a plain request. Raises UsageError if there is none."""
        seen = fire(target, self._plain, self._options.patience)
        if seen.how != ANSWERED:
            raise UsageError(
                f"expected a {what} at {target.authority} that answers GET {self._options.bystander}, got: {seen.how}"
            )
        return seen

    def _same_content(self, direct: Target) -> bool:
        """Whether an app server answers the same twice, and as the proxy does, so that content can be compared."""
        contents = [self._known(direct, "server").replies.complete[0].content for _ in range(2)]
        same = contents[0] == contents[1] == self._baseline.replies.complete[0].content
        if not same:
            self.outcome.notes.append("answers are not the same each time: their content is not compared")
        return same

    def _is_up(self) -> bool:
        return fire(self._options.proxy, self._plain, self._options.patience).how != REFUSED

    def _comes_back(self) -> bool:
        """Wait for a proxy that somebody restarts."""
        due = time.monotonic() + self._options.recovery
        while time.monotonic() < due:
            if self._is_up():
                return True
            time.sleep(_POLL)
        self._gone = True
        return False


def _plain(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: {{authority}}\r\n\r\n".encode()
