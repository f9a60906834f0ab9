"""The cheapest schedule of a fleet for one who knows the future: what every policy is measured against.

Time is cut into bins. For each bin somebody has found out how many servers it takes to keep the objectives (a fixed fleet of each size was rehearsed). The
k-th server is then needed in some bins and in others not, whatever the other servers do. Ending and launching it again costs its boot time
once more, so that a gap no longer than that is bridged; any longer gap is not. Per server this is the cheapest choice, and servers do not depend on one
another, so that it is the cheapest schedule, given what each bin takes.

What a bin takes is found with fixed fleets: one that was too small before carries a backlog into it, so that some bins seem to take more than they do.
:func:`improve` therefore tries to lower the schedule bin by bin, and keeps what a rehearsal of the whole schedule confirms.
"""

from collections.abc import Callable, Iterator, Sequence

Sizes = tuple[int, ...]
"""Servers in each bin."""


def needed(violated: Sequence[Sequence[bool]]) -> Sizes:
    """Servers that each bin takes: ``violated[n - 1][bin]`` says whether a fixed fleet of n broke an objective in it.

    The smallest size from which on no larger one does either; the largest, if that one does.
    """
    if not violated:
        raise ValueError("expected the bins of at least one fleet, got none")
    sizes = []
    for column in zip(*violated, strict=True):
        broken = [number for number, bad in enumerate(column, 1) if bad]
        sizes.append(min(max(broken, default=0) + 1, len(violated)))
    return tuple(sizes)


def bridged(sizes: Sizes, gap: int) -> Sizes:
    """*sizes* where no server is ended that is needed again within *gap* bins."""
    found = list(sizes)
    for layer in range(1, max(sizes, default=0) + 1):
        last = -1
        for place, size in enumerate(sizes):
            if size < layer:
                continue
            if 0 <= last < place - 1 and place - 1 - last <= gap:
                for between in range(last + 1, place):
                    found[between] = max(found[between], layer)
            last = place
    return tuple(found)


def changes(sizes: Sizes, width: int, lead: int) -> tuple[tuple[int, int], ...]:
    """(time in ns, size) from time 0 on for bins of *width* ns: more servers are ordered *lead* ns before the bin that takes them.

    An order may thereby fall into a time for which fewer were wanted; the larger number holds.
    """
    moments = sorted(
        {
            0,
            *(place * width for place in range(len(sizes))),
            *(max(place * width - lead, 0) for place in range(len(sizes))),
        }
    )
    found: list[tuple[int, int]] = []
    for moment in moments:
        first = moment // width
        last = min((moment + lead) // width, len(sizes) - 1)
        size = max(sizes[first : last + 1])
        if not found or found[-1][1] != size:
            found.append((moment, size))
    return tuple(found)


def improve(sizes: Sizes, floor: int, holds: Callable[[Sizes], bool], budget: int) -> Sizes:
    """Lower *sizes*, never below *floor*, as long as *holds* (a rehearsal) says that it still keeps the objectives.

    Stretches of equal size are tried as a whole, then in halves; the dearest first. At most *budget* rehearsals. The result is one that held; when the budget
    was enough, no stretch that was tried could be lowered alone.
    """
    best, spent, tried = sizes, 0, set[Sizes]()
    progress = True
    while progress and spent < budget:
        progress = False
        for start, stop in _stretches(best):
            if spent >= budget:
                break
            if best[start] <= floor or len(set(best[start:stop])) != 1:
                continue
            lower = (*best[:start], *(size - 1 for size in best[start:stop]), *best[stop:])
            if lower in tried:
                continue
            tried.add(lower)
            spent += 1
            if holds(lower):
                best, progress = lower, True
    return best


def _stretches(sizes: Sizes) -> Iterator[tuple[int, int]]:
    """Maximal stretches of one size, and their halves down to a bin, those with most server time first."""
    found = []
    start = 0
    for place in range(1, len(sizes) + 1):
        if place == len(sizes) or sizes[place] != sizes[start]:
            found.append((start, place))
            start = place
    queue = list(found)
    while queue:
        begin, end = queue.pop()
        if end - begin > 1:
            middle = (begin + end) // 2
            queue += [(begin, middle), (middle, end)]
            found += [(begin, middle), (middle, end)]
    yield from sorted(set(found), key=lambda one: (-(one[1] - one[0]) * sizes[one[0]], one))
