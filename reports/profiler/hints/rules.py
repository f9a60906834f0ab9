"""All rules, and the hints that they give of a run."""

from collections.abc import Callable, Iterable

from ...evidence import Evidence
from .hint import Hint, in_order

Rule = Callable[[Evidence], Iterable[Hint]]

RULES: tuple[Rule, ...] = ()


def hints(evidence: Evidence) -> tuple[Hint, ...]:
    """The hints of a run, also of a partial one: the most severe first, then by time."""
    return in_order([hint for rule in RULES for hint in rule(evidence)])
