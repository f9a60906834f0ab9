"""The space that a search explores, in whole numbers.

A candidate says for each field that may vary which value of its grid it has (-1: as the scenario has it), which seed counts, and which faults strike.
What the numbers stand for the scenario's side knows; here they are drawn, changed a little, and made simpler.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..draws import below, draw, key

BASE = -1
"""As the scenario says."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something that may vary: *costs* has for each value of its grid, in order, how far from round it is; *small*: less of it is simpler."""

    name: str
    costs: tuple[int, ...]
    small: bool = False

    def __len__(self) -> int:
        return len(self.costs)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault that may be added, with its own dimensions (when, how long, how bad)."""

    name: str
    dimensions: tuple[Dimension, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """All that may vary: *fields*, so many *seeds*, and up to *most* faults of *kinds*. *cuts*: shorter runs that a minimal scenario may have."""

    fields: tuple[Dimension, ...] = ()
    seeds: int = 1
    kinds: tuple[FaultKind, ...] = ()
    most: int = 0
    cuts: int = 0


@dataclass(frozen=True, slots=True, order=True)
class FaultGene:
    """A fault: which kind, and for each of its dimensions the position in the grid."""

    kind: int
    genes: tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A point of the space. *seed* counts from the scenario's; *cut*: which shorter run, -1: the whole."""

    values: tuple[int, ...] = ()
    seed: int = 0
    faults: tuple[FaultGene, ...] = field(default=())
    cut: int = BASE

    @property
    def changes(self) -> int:
        """In how many places it differs from the scenario."""
        return sum(value != BASE for value in self.values) + len(self.faults) + (self.seed > 0)


def plain(space: Space) -> Candidate:
    """The scenario as it is."""
    return Candidate((BASE,) * len(space.fields))


class Dice:
    """Whole numbers for experiment *number* of a search, the same under the same seed."""

    def __init__(self, seed: int, number: int) -> None:
        self._stream = key(seed, "search")
        self._number = number
        self._taken = 0

    def below(self, n: int) -> int:
        """A whole number from 0 to *n* - 1."""
        self._taken += 1
        return below(draw(self._stream, self._number, self._taken >> 12, self._taken & 0xFFF), n)

    def chance(self, k: int, n: int) -> bool:
        """True *k* times of *n*."""
        return self.below(n) < k


def drawn(space: Space, dice: Dice) -> Candidate:
    """A candidate anywhere in *space*, each value as likely as any other."""
    values = tuple(dice.below(len(dimension)) for dimension in space.fields)
    count = dice.below(space.most + 1) if space.kinds else 0
    faults = tuple(sorted(drawn_fault(space, dice) for _ in range(count)))
    return Candidate(values, dice.below(space.seeds), faults)


def drawn_fault(space: Space, dice: Dice) -> FaultGene:
    """A fault of any kind."""
    kind = dice.below(len(space.kinds))
    return FaultGene(kind, tuple(dice.below(len(one)) for one in space.kinds[kind].dimensions))


def mutated(space: Space, parent: Candidate, other: Candidate, dice: Dice) -> Candidate:
    """*parent*, over the whole run, changed in one to three places; a change may bring in something of *other*."""
    child = parent
    for _ in range(1 + dice.below(3)):
        child = _changed(space, child, other, dice)
    return replace(child, faults=tuple(sorted(child.faults)), cut=BASE)


def _changed(space: Space, one: Candidate, other: Candidate, dice: Dice) -> Candidate:
    kinds = [
        *(["value"] * 3 if space.fields else []),
        *(["seed"] if space.seeds > 1 else []),
        *(["add"] * 2 if len(one.faults) < space.most and space.kinds else []),
        *(["drop"] if one.faults else []),
        *(["fault"] * 4 if one.faults else []),
        *(["cross"] if other != one else []),
    ]
    if not kinds:
        return one
    match kinds[dice.below(len(kinds))]:
        case "value":
            place = dice.below(len(one.values))
            value = _moved(one.values[place], space.fields[place], dice)
            return replace(one, values=(*one.values[:place], value, *one.values[place + 1 :]))
        case "seed":
            return replace(one, seed=dice.below(space.seeds))
        case "add":
            return replace(one, faults=(*one.faults, drawn_fault(space, dice)))
        case "drop":
            place = dice.below(len(one.faults))
            return replace(one, faults=(*one.faults[:place], *one.faults[place + 1 :]))
        case "fault":
            place = dice.below(len(one.faults))
            fault = _changed_fault(space, one.faults[place], dice)
            return replace(one, faults=(*one.faults[:place], fault, *one.faults[place + 1 :]))
    if other.faults and dice.chance(1, 2):
        return replace(one, faults=other.faults)
    values = tuple(b if dice.chance(1, 2) else a for a, b in zip(one.values, other.values, strict=True))
    return replace(one, values=values)


def _changed_fault(space: Space, fault: FaultGene, dice: Dice) -> FaultGene:
    dimensions = space.kinds[fault.kind].dimensions
    if not dimensions or dice.chance(1, 8):
        return drawn_fault(space, dice)
    place = dice.below(len(dimensions))
    gene = _moved(fault.genes[place], dimensions[place], dice)
    return replace(fault, genes=(*fault.genes[:place], gene, *fault.genes[place + 1 :]))


def _moved(value: int, dimension: Dimension, dice: Dice) -> int:
    """Another value: anywhere, at an end, or some steps away, few of them more often than many."""
    size = len(dimension)
    how = dice.below(8)
    if value == BASE or how == 0:
        return dice.below(size)
    if how == 1:
        return (0, size - 1)[dice.below(2)]
    reach = max(size >> (1 + dice.below(6)), 1)
    step = 1 + dice.below(reach)
    return min(max(value + (step if dice.chance(1, 2) else -step), 0), size - 1)


def corners(space: Space) -> Sequence[Candidate]:
    """Where a guided search begins: the scenario as it is, each field alone at its ends, each kind of fault alone, all fields at their ends."""
    base = plain(space)
    found = [base]
    for place, dimension in enumerate(space.fields):
        for value in dict.fromkeys((len(dimension) - 1, 0)):
            found.append(replace(base, values=(*base.values[:place], value, *base.values[place + 1 :])))
    for number, kind in enumerate(space.kinds if space.most else ()):
        for share in (1, 3):
            genes = tuple(min(len(one) * share // 4, len(one) - 1) for one in kind.dimensions)
            found.append(replace(base, faults=(FaultGene(number, genes),)))
    if len(space.fields) > 1:
        found.append(replace(base, values=tuple(len(one) - 1 for one in space.fields)))
    return list(dict.fromkeys(found))
