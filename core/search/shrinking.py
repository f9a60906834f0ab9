"""From a candidate that breaks something to the simplest one that still does.

Theory of operation
-------------------
Passes make simpler candidates, most promising first: without faults (all, half of them, single ones), with fields as the scenario has them, under
the scenario's own seed, with shorter faults, milder counts and rounder numbers. The first that still breaks the same goal takes the place of the candidate,
and the passes begin again; when none helps, dropping any fault or resetting any field makes it pass: it is 1-minimal. Last the run is cut short and numbers
are made simpler once more, but only to what breaks the goal over the whole run too,
and never so far that a part would no longer be needed: over a shorter run a small failure weighs more.

Candidates are evaluated in groups (``check`` may do so on several processes), and the first of a group in order wins, so that the result depends on nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from .space import BASE, Candidate, Dimension, FaultGene, Space

Check = Callable[[Sequence[Candidate]], Sequence[bool]]
"""For each candidate, whether it still breaks the goal."""
Pass = Callable[[Space, Candidate], Iterator[Candidate]]
"""Simpler candidates, most promising first."""

GROUP = 8
_ROUNDER = 12
"""Rounder values that are tried of one number."""


def shrink(
    space: Space, found: Candidate, check: Check, told: Callable[[Candidate], None] = lambda one: None, cuttable: bool = True,
) -> Candidate:  # fmt: skip
    """The simplest candidate that passes lead to from *found*; *told* of each one on the way. Not *cuttable* the run keeps its length."""
    known: dict[Candidate, bool] = {found: True}

    def breaks(candidates: Sequence[Candidate]) -> list[bool]:
        new = list(dict.fromkeys(one for one in candidates if one not in known))
        known.update(zip(new, check(new) if new else (), strict=True))
        return [known[one] for one in candidates]

    def first(candidates: Iterator[Candidate]) -> Candidate | None:
        group: list[Candidate] = []
        for one in candidates:
            group.append(one)
            if len(group) == GROUP:
                if any(results := breaks(group)):
                    return group[results.index(True)]
                group = []
        results = breaks(group)
        return group[results.index(True)] if any(results) else None

    been = {found}

    def settled(best: Candidate, passes: Sequence[Pass], first: Callable[[Iterator[Candidate]], Candidate | None]) -> Candidate:  # fmt: skip
        while True:
            # Rounding up may undo what shortening did: nobody comes back to where it was.
            fresh = (first(one for one in made(space, best) if one not in been) for made in passes)
            simpler = next((one for one in fresh if one is not None), None)
            if simpler is None:
                return best
            best = simpler
            been.add(best)
            told(best)

    def needed(candidates: Iterator[Candidate]) -> Candidate | None:
        """The first that breaks it, over the whole run too, but with none of its parts missing."""
        for one in candidates:
            if all(breaks([one, replace(one, cut=BASE)])) and not any(breaks(reduced(one))):
                return one
        return None

    best = settled(found, (_fewer_parts, _smaller, _rounder), first)
    cuts = (replace(best, cut=cut) for cut in range(space.cuts if cuttable else 0))
    short = needed(cuts)
    if short is None:
        return best
    told(short)
    return settled(short, (_smaller, _rounder), needed)


def reduced(one: Candidate) -> list[Candidate]:
    """All candidates with one part less: a fault dropped, a field as the scenario has it, the scenario's seed."""
    return [*_each_fault_dropped(one), *_each_field_reset(one), *([replace(one, seed=0)] if one.seed else [])]


def _each_fault_dropped(one: Candidate) -> list[Candidate]:
    return [replace(one, faults=(*one.faults[:n], *one.faults[n + 1 :])) for n in range(len(one.faults))]


def _each_field_reset(one: Candidate) -> list[Candidate]:
    return [
        replace(one, values=(*one.values[:n], BASE, *one.values[n + 1 :]))
        for n, value in enumerate(one.values)
        if value != BASE
    ]


def _fewer_parts(space: Space, one: Candidate) -> Iterator[Candidate]:
    """Fewer faults and fewer changed fields, many at once first."""
    plain = (BASE,) * len(one.values)
    if one.faults:
        yield replace(one, faults=())
        half = len(one.faults) // 2
        if half > 0:
            yield replace(one, faults=one.faults[:half])
            yield replace(one, faults=one.faults[half:])
    if one.values != plain:
        yield replace(one, values=plain, seed=0)
        yield replace(one, values=plain)
    yield from reduced(one)


def _smaller(space: Space, one: Candidate) -> Iterator[Candidate]:
    """Shorter faults and fewer targets."""
    for place, fault in enumerate(one.faults):
        for gene, dimension in enumerate(space.kinds[fault.kind].dimensions):
            if dimension.small:
                now = fault.genes[gene]
                for less in dict.fromkeys((0, now // 8, now // 4, now // 2, now * 3 // 4)):
                    if 0 <= less < now:
                        yield _with_gene(one, place, fault, gene, less)


def _rounder(space: Space, one: Candidate) -> Iterator[Candidate]:
    """Rounder numbers, near ones of the roundest first; of what is better small only smaller ones, or hardly larger ones."""
    for place, fault in enumerate(one.faults):
        for gene, dimension in enumerate(space.kinds[fault.kind].dimensions):
            for value in _round(dimension, fault.genes[gene]):
                yield _with_gene(one, place, fault, gene, value)
    for place, dimension in enumerate(space.fields):
        now = one.values[place]
        for value in _round(dimension, now) if now != BASE else ():
            yield replace(one, values=(*one.values[:place], value, *one.values[place + 1 :]))


def _round(dimension: Dimension, now: int) -> list[int]:
    costs = dimension.costs
    reach = range(min(now + now // 4 + 1, len(costs))) if dimension.small else range(len(costs))
    better = sorted((costs[value], abs(value - now), value) for value in reach if costs[value] < costs[now])
    found = []
    for cost in sorted({cost for cost, _, _ in better}):
        found += [value for its, _, value in better if its == cost][:4]
    return found[:_ROUNDER]


def _with_gene(one: Candidate, place: int, fault: FaultGene, gene: int, value: int) -> Candidate:
    changed = replace(fault, genes=(*fault.genes[:gene], value, *fault.genes[gene + 1 :]))
    return replace(one, faults=(*one.faults[:place], changed, *one.faults[place + 1 :]))
