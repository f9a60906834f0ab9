"""Cases: the numbered requests of a seed, each with the load that a plan puts on it. The same seed gives the same cases on every machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...core.errors import UsageError
from .choices import Choices, DrawnChoices, between
from .hostile import hostile_wire
from .requests import ALL_METHODS, CLASSES, HOSTILE, WEIGHTS, Request, make_request
from .surface import Surface
from .wire import Wire, wire_of


class Range(NamedTuple):
    """Whole numbers from *low* to *high*."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: str, what: str) -> "Range":
        """``10`` or ``10-20``. Raises UsageError."""
        low, dash, high = text.partition("-")
        numbers = [part.strip() for part in ((low, high) if dash else (low, low))]
        if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in numbers):
            raise UsageError(f"{what}: expected a whole number or a range such as 10-20, got {text!r:.40}")
        made = cls(int(numbers[0]), int(numbers[1]))
        if not 0 < made.low <= made.high:
            raise UsageError(f"{what}: expected a range from at least 1 upwards, got {text!r:.40}")
        return made


MANY, FAST, CLIENTS = Range(1000, 10_000), Range(100, 500), Range(1, 10)
"""What the classic plan's own fuzzer drew from: number, rate, concurrency."""


@dataclass(frozen=True, slots=True)
class Load:
    """Ranges that each entry's load is drawn from; the defaults are those of the classic plan. None: the entry says nothing of it."""

    requests: Range | None = MANY
    rate: Range | None = FAST
    concurrency: Range = CLIENTS
    seconds: Range | None = None
    timeout: Range | None = None
    """ms."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request and its load: so many *requests* at a *rate* (per second) over *concurrency* clients, for at most *seconds*, each given up after *timeout* (ms)."""

    request: Request
    requests: int | None
    rate: int | None
    concurrency: int
    seconds: int | None
    timeout: int | None


class HostileEntry(NamedTuple):
    """Hostile bytes and how often they are sent a second (None: not said)."""

    wire: Wire
    rate: int | None


@dataclass(frozen=True, slots=True)
class Case:
    """What is fired once: bytes, and the choices that made them; *request* None: hostile bytes."""

    number: int
    wire: Wire
    request: Request | None
    choices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Generator:
    """What is drawn from: a *surface*, *weights* of the classes, the methods that the load tool knows."""

    surface: Surface
    seed: int = 0
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)
    methods: Sequence[str] = ALL_METHODS

    def entries(self, count: int, load: Load) -> Iterator[Entry]:
        """The first *count* requests with their load."""
        for number in range(count):
            choices = DrawnChoices(self.seed, number)
            yield _entry(choices, make_request(choices, self.surface, self.weights, self.methods), load)

    def mixed(self, count: int, load: Load) -> tuple[list[Entry], list[HostileEntry]]:
        """The first *count* requests with their load, those of the class ``hostile`` apart."""
        entries, hostile = [], []
        for number in range(count):
            choices = DrawnChoices(self.seed, number)
            wire, request = self.case(choices)
            if request is None:
                hostile.append(HostileEntry(wire, _drawn(choices, load.rate)))
            else:
                entries.append(_entry(choices, request, load))
        return entries, hostile

    def cases(self, count: int) -> Iterator[Case]:
        """The first *count* cases; of the class ``hostile`` too, where it has a weight."""
        for number in range(count):
            choices = DrawnChoices(self.seed, number)
            wire, request = self.case(choices)
            yield Case(number, wire, request, tuple(choices.taken))

    def case(self, choices: Choices) -> tuple[Wire, Request | None]:
        """What *choices* make. Without the class ``hostile`` the requests are those of :meth:`entries`."""
        share = self.weights.get(HOSTILE, 0)
        rest = sum(self.weights.values()) - share
        # The well-formed ones are the simpler ones.
        if share and (rest == 0 or choices.below(share + rest) >= rest):
            return hostile_wire(choices), None
        request = make_request(choices, self.surface, self.weights, self.methods)
        return wire_of(request), request


def _entry(choices: Choices, request: Request, load: Load) -> Entry:
    return Entry(
        request=request,
        requests=_drawn(choices, load.requests),
        rate=_drawn(choices, load.rate),
        concurrency=between(choices, *load.concurrency),
        seconds=_drawn(choices, load.seconds),
        timeout=_drawn(choices, load.timeout),
    )


def _drawn(choices: Choices, span: Range | None) -> int | None:
    return None if span is None else between(choices, *span)


def parse_weights(text: str) -> dict[str, int]:
    """``odd=5,known=1``: the weights of the classes that are named, and 0 for the others. Raises UsageError."""
    made = dict.fromkeys(CLASSES, 0)
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in made or not (number.isascii() and number.isdigit() and len(number) <= 6):
            raise UsageError(
                f"--weights: expected CLASS=NUMBER,... with classes {', '.join(CLASSES)}, got {part.strip()!r:.60}"
            )
        made[name] = int(number)
    if not any(made.values()):
        raise UsageError("--weights: expected a class with a weight above 0")
    return made
