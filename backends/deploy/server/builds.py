"""A build and its stages as the build server keeps them, and the rules of its queue. Pure: no IO, no clock.

A build is ``queued``, ``running``, and ends as ``passed``, ``failed``, ``cancelled``, ``superseded`` (a newer push of its role came while it waited) or ``interrupted`` (the server died
under it too often). Times are ns since 1970.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from .pipeline import Stage

State = Literal["queued", "running", "passed", "failed", "cancelled", "superseded", "interrupted"]
StageState = Literal[
    "waiting", "running", "passed", "failed", "timed out", "cancelled", "interrupted", "not run"
]

OPEN: tuple[State, ...] = ("queued", "running")
MOST_ATTEMPTS = 3
"""A build under which the server died so often is not begun again: it may be the cause."""

UNKNOWN_ROLE = "none"
"""The role of a push whose pipeline cannot be read."""


class StageRun(BaseModel):
    """A stage of a build's last attempt. *status*: of the step that ended it. *log*: the file of what it said."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    state: StageState = "waiting"
    started: int = 0
    ended: int = 0
    status: int | None = None
    reason: str = ""
    log: str = ""
    roll_back: bool = False


class Tests(BaseModel):
    """What the JUnit files of a build add up to."""

    model_config = ConfigDict(extra="forbid")

    tests: int = 0
    failures: int = 0
    skipped: int = 0


class Build(BaseModel):
    """One build. *origin*: what asked for it. *attempt* counts from 1 when it begins.

    *repair*: a stage under which the server ended; its way back is taken before anything else. *verdict*: how the build ends after that; empty: it is begun again.
    """

    model_config = ConfigDict(extra="forbid")

    number: int
    branch: str
    role: str
    commit: str
    origin: str
    queued: int
    state: State = "queued"
    reason: str = ""
    attempt: int = 0
    started: int = 0
    ended: int = 0
    stages: list[StageRun] = []
    repair: str = ""
    verdict: Literal["", "superseded", "interrupted"] = ""
    tests: Tests | None = None
    artifacts: list[str] = []

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in OPEN

    def begin(self, now: int, stages: Sequence[Stage]) -> None:
        """It runs from now on, through *stages*."""
        self.stages = [
            StageRun(
                stage=one.stage,
                log=f"{self.attempt}-{place + 1:02}-{one.stage.replace(' ', '-')}.log",
                roll_back=one.roll_back,
            )
            for place, one in enumerate(stages)
        ]
        self.started = self.started or now

    def end(self, state: State, reason: str, now: int) -> None:
        """It is over; stages that did not begin never will."""
        self.state, self.reason, self.ended = state, reason, now
        for one in self.stages:
            if one.state == "waiting":
                one.state = "not run"


def superseded_by(new: Build, others: Iterable[Build]) -> list[Build]:
    """What waits in the queue of *new*'s role and is older: nobody wants it any more."""
    return [
        one for one in others if one.state == "queued" and one.role == new.role and one.number < new.number
    ]


def due(builds: Iterable[Build]) -> list[Build]:
    """The next build of each role of which none runs: the oldest that waits."""
    opened = sorted((one for one in builds if one.open), key=lambda one: one.number)
    busy = {one.role for one in opened if one.state == "running"}
    found: list[Build] = []
    for one in opened:
        if one.role not in busy:
            busy.add(one.role)
            found.append(one)
    return found


def supersede(old: Build, new: Build, now: int) -> None:
    """*old*, which waits, is not wanted any more since *new* came; what it has to repair it repairs."""
    reason = f"build {new.number} of {new.commit[:12]} came"
    if old.repair:
        old.verdict, old.reason = "superseded", reason
    else:
        old.end("superseded", reason, now)


def recover(found: Build, others: Iterable[Build], now: int, why: str) -> None:
    """What becomes of a build that ran when the server ended (*why*).

    A stage with a way back that was under way is taken back first, so that nothing half done waits for the next build's tests. Then a newer build of its role takes its place; else it is begun
    again, but not for ever.
    """
    for one in found.stages:
        if one.state == "running":
            one.state, one.ended, one.reason = "interrupted", now, why
            found.repair = one.stage if one.roll_back else found.repair
    newer = [
        one
        for one in others
        if one.state == "queued" and one.role == found.role and one.number > found.number
    ]
    found.state, found.reason = "queued", f"{why} under attempt {found.attempt}; it is begun again"
    if newer:
        found.verdict, found.reason = "superseded", f"{why} under it; build {newer[0].number} takes its place"
    elif found.attempt >= MOST_ATTEMPTS:
        found.verdict, found.reason = "interrupted", f"{why} under each of its {found.attempt} attempts"
    if found.verdict and not found.repair:
        found.end(found.verdict, found.reason, now)
