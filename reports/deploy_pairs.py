"""The deploys of two runs beside one another: how each ended, how long it took, and how long its mistake and its way back did."""

from dataclasses import dataclass

from ..core.rollout.outcome import outcomes
from .evidence import Evidence


@dataclass(frozen=True, slots=True)
class Course:
    """Of a deploy in one run: its *end* in a word, and times (ns, None: that did not happen).

    *took*: from its beginning to its end. *noticed*: from when its canaries first got requests (where there are none, from its beginning) until its way back began. *back*: how
    long that took.
    """

    end: str
    took: int | None
    noticed: int | None
    back: int | None


@dataclass(frozen=True, slots=True)
class DeployPair:
    """A deploy, by its *name*, in both runs."""

    name: str
    first: Course
    second: Course

    @property
    def agrees(self) -> bool:
        """Whether it ended alike."""
        return self.first.end == self.second.end


def pair_deploys(first: Evidence, second: Evidence) -> tuple[DeployPair, ...]:
    """The deploys that both runs were told to do, in order."""
    here, there = _courses(first), _courses(second)
    return tuple(DeployPair(name, here[name], there[name]) for name in here if name in there)


def _courses(evidence: Evidence) -> dict[str, Course]:
    exposed: dict[str, int] = {}
    turned: dict[str, int] = {}
    for event in evidence.events:
        if event["event"] == "weight_set" and not str(event["share"]).startswith("0/"):
            exposed.setdefault(event["deploy"], event["t"])
        elif event["event"] == "rollback_started":
            turned[event["deploy"]] = event["t"]
    found = {}
    for one in outcomes(evidence.fleet.deploys, evidence.events):
        name, ended = one.spec.name, one.ended if one.began >= 0 else -1
        back = turned.get(name, -1)
        found[name] = Course(
            one.end,
            took=_between(one.began, ended),
            noticed=_between(exposed.get(name, one.began), back),
            back=_between(back, ended),
        )
    return found


def _between(first: int, last: int) -> int | None:
    return last - first if first >= 0 and last >= 0 else None
