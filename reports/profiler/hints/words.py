"""Failed requests in numbers and words, as several rules tell them."""

from ...facts import Facts
from ...wording import plural


def errors(facts: Facts, *outcomes: str) -> int:
    """How many requests ended so."""
    return sum(facts.errors.get(outcome, 0) for outcome in outcomes)


def failures(facts: Facts, *outcomes: str) -> str:
    """``12 of 300 requests ended as refused, 3 as evicted``."""
    first, *others = [(facts.errors[name], name) for name in outcomes if facts.errors.get(name)]
    told = f"{first[0]:,} of {plural(facts.planned, 'request')} ended as {first[1]}"
    return ", ".join([told, *(f"{count:,} as {name}" for count, name in others)])


def often(count: int) -> str:
    """``once``, ``12 times``."""
    return "once" if count == 1 else "twice" if count == 2 else f"{count:,} times"
