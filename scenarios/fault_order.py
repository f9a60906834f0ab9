"""What a scenario's faults say of each other, and is not so: names, ends that never come, circles."""

from collections.abc import Iterator

from ..core.faults import FAULTS
from .problems import Path, nearest
from .schema import Document
from .schema_faults import Fault

Found = tuple[Path, str]


def check(document: Document) -> Iterator[Found]:
    """Of `while` and `after`."""
    faults = {fault.name: fault for fault in document.faults}
    unknown = False
    for index, fault in enumerate(document.faults):
        where: Path = ("faults", index)
        field, name = _other(fault)
        if name and name not in faults:
            unknown = True
            hint = nearest(name, faults) or f"; known are {', '.join(faults)}"
            yield (*where, field), f"no fault {name!r}{hint}"
        elif fault.after is not None and _never_ends(faults[fault.after]):
            yield (
                (*where, "after"),
                f"expected a fault that ends: {fault.after!r} lasts to the end of the run",
            )
        elif field == "while" and not FAULTS[faults[name].type].lasts:
            yield (
                (*where, "while"),
                f"expected a fault that lasts: {name!r} ({faults[name].type}) strikes at once, and is never in force",
            )
        yield from _limits(document, fault, where)
    if not unknown:
        yield from _circles(document, faults)


def _other(fault: Fault) -> tuple[str, str]:
    """The field of *fault* that names another fault, and that one; both empty if none does."""
    if fault.after is not None:
        return "after", fault.after
    condition, name = fault.condition
    return ("while", name) if condition == "fault" else ("", "")


def _never_ends(fault: Fault) -> bool:
    return FAULTS[fault.type].lasts and fault.for_ is None and fault.while_ is None


def _limits(document: Document, fault: Fault, where: Path) -> Iterator[Found]:
    """Conditions that could not hold."""
    condition, _ = fault.condition
    if condition in ("at_maximum", "at_minimum") and document.autoscaler is None:
        yield (*where, "while"), f"expected an autoscaler for {condition}: the scenario has none"
    elif condition == "at_maximum" and document.fleet.app.max is None:
        yield (*where, "while"), "expected fleet.app.max for at_maximum: the fleet has none"
    elif condition == "deploying" and not document.deploys:
        yield (*where, "while"), "expected a deploy for deploying: the scenario has none"


def _circles(document: Document, faults: dict[str, Fault]) -> Iterator[Found]:
    """Faults that wait for each other: none of them ever begins. Told once, at the first of a circle."""
    told: set[str] = set()
    for index, fault in enumerate(document.faults):
        path = [fault.name]
        first, name = _other(fault)
        while name and name not in path:
            path.append(name)
            _, name = _other(faults[name])
        if name == fault.name and not told & set(path):
            told.update(path)
            circle = " waits for ".join(repr(one) for one in (*path, name))
            yield ("faults", index, first), f"expected faults that can begin: {circle}"
