"""What the HorizontalPodAutoscaler remembers: what was recommended, and by how much the size was changed.

Kubernetes keeps this in the controller's memory and loses it in a restart; here it is in the policy's memory, which a successor reads.
"""

from dataclasses import dataclass

from .view import Memory

_RECOMMENDED, _RECOMMENDED_AT = "recommended", "recommended_at"
_CHANGED, _CHANGED_AT = "changed", "changed_at"


@dataclass(frozen=True, slots=True)
class Recommended:
    """At *time* (ns) the metrics asked for *size* servers, before any window, rate or bound."""

    time: int
    size: int


@dataclass(frozen=True, slots=True)
class Changed:
    """At *time* (ns) the size was changed *by* so many servers; below 0: a scale-in."""

    time: int
    by: int


@dataclass(frozen=True, slots=True)
class History:
    """Recommendations and changes, the oldest first."""

    recommendations: tuple[Recommended, ...] = ()
    changes: tuple[Changed, ...] = ()

    @classmethod
    def read(cls, memory: Memory) -> "History":
        """From a policy's memory; empty from that of a policy before this one."""
        asked = zip(memory.get(_RECOMMENDED_AT, ()), memory.get(_RECOMMENDED, ()), strict=False)
        changed = zip(memory.get(_CHANGED_AT, ()), memory.get(_CHANGED, ()), strict=False)
        return cls(
            tuple(Recommended(int(time), int(size)) for time, size in asked),
            tuple(Changed(int(time), int(by)) for time, by in changed),
        )

    def write(self) -> Memory:
        """As a policy's memory."""
        return {
            _RECOMMENDED_AT: tuple(one.time for one in self.recommendations),
            _RECOMMENDED: tuple(one.size for one in self.recommendations),
            _CHANGED_AT: tuple(one.time for one in self.changes),
            _CHANGED: tuple(one.by for one in self.changes),
        }

    def recommend(self, now: int, size: int) -> "History":
        """With one recommendation more."""
        return History((*self.recommendations, Recommended(now, size)), self.changes)

    def record(self, now: int, by: int) -> "History":
        """With one change more, if it is one."""
        return History(self.recommendations, (*self.changes, Changed(now, by))) if by else self

    def carried_out(self, last_action: int) -> "History":
        """Without the changes that were proposed after the fleet was last changed: something, such as a cooldown, prevented them."""
        kept = tuple(change for change in self.changes if change.time <= last_action)
        return History(self.recommendations, kept)

    def pruned(self, now: int, window: int, period: int) -> "History":
        """Without recommendations older than *window* and changes older than *period* (ns): nothing asks for them again.

        The newest recommendation stays however old it is: it tells that this is no fresh start.
        """
        newest = self.recommendations[-1:]
        kept = tuple(one for one in self.recommendations if now - one.time <= window)
        return History(kept or newest, tuple(one for one in self.changes if now - one.time <= period))

    def change(self, now: int, period: int) -> int:
        """By how much the size was changed within *period*, additions less removals."""
        return sum(one.by for one in self.changes if now - one.time < period)
