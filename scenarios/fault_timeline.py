"""The faults of a scenario: as explicit occurrences in time, or, where nobody can know when, with what they wait for."""

from collections.abc import Iterator

from ..core import draws
from ..core.distributions import exponential
from ..core.faults import ALL, FAULTS
from ..core.model import NONE, FaultSpec, TriggeredFault
from .schema import Document
from .schema_faults import Fault, parse_attributes


def fault_timeline(document: Document) -> tuple[FaultSpec, ...]:
    """Every occurrence whose time is known, by time; random ones begin before the end of arrivals, and those of one fault never overlap.

    What comes after one of these is one of them too.
    """
    known: dict[str, list[FaultSpec]] = {}
    numbered: set[str] = set()
    for fault in in_order(document):
        if fault.after is None and fault.while_ is None:
            times = _times(document, fault)
        elif fault.after in known:
            times = iter([_end(fault, one) + (fault.delay or 0) for one in known[fault.after]])
        else:
            continue
        if fault.every is not None or fault.after in numbered:
            numbered.add(fault.name)
        known[fault.name] = [
            _occurrence(
                document, fault, f"{fault.name}#{number}" if fault.name in numbered else fault.name, time
            )
            for number, time in enumerate(times, 1)
        ]
    found = [one for fault in document.faults for one in known.get(fault.name, ())]
    return tuple(sorted(found, key=lambda fault: fault.at))


def triggered_faults(document: Document) -> tuple[TriggeredFault, ...]:
    """The faults that begin when something happens, in the scenario's order."""
    waiting: dict[str, TriggeredFault] = {}
    for fault in in_order(document):
        if fault.while_ is None and fault.after not in waiting:
            continue
        condition, of = fault.condition
        length = NONE if fault.for_ is None or not FAULTS[fault.type].lasts else fault.for_
        waiting[fault.name] = TriggeredFault(
            _occurrence(document, fault, fault.name, fault.at or 0),
            condition,
            of,
            fault.after or "",
            fault.delay or 0,
            length,
        )
    return tuple(waiting[fault.name] for fault in document.faults if fault.name in waiting)


def in_order(document: Document) -> Iterator[Fault]:
    """The faults of a valid *document*, each behind the one that it comes after."""
    placed: set[str] = set()
    left = list(document.faults)
    while left:
        able = [fault for fault in left if fault.after is None or fault.after in placed]
        assert able, "faults that wait for each other"
        yield from able
        placed.update(fault.name for fault in able)
        left = [fault for fault in left if fault.name not in placed]


def _end(fault: Fault, before: FaultSpec) -> int:
    """When *before*, after which *fault* comes, is over."""
    assert before.until >= 0 or not FAULTS[before.type].lasts, f"{fault.name} comes after what never ends"
    return before.at if before.until < 0 else before.until


def _times(document: Document, fault: Fault) -> Iterator[int]:
    """When it begins: once, or after exponential times, each counted from the end of the one before."""
    time = fault.at or 0
    if fault.every is None:
        yield time
        return
    stream = draws.key(document.seed, f"fault/{fault.name}")
    between = exponential(max(fault.every - (fault.for_ or 0), 1))
    number = 0
    while True:
        time += between.sample(draws.draw(stream, number, 0, draws.FAULT_TIME))
        if time >= document.duration:
            return
        yield time
        time += fault.for_ or 0
        number += 1


def _occurrence(document: Document, fault: Fault, name: str, time: int) -> FaultSpec:
    target = fault.target
    names = [dependency.name for dependency in document.fleet.dependencies]
    count = 1 if target.count is None else target.count
    attributes = parse_attributes(fault.type, fault.attributes)
    if fault.type == "partition" and not attributes["from"]:
        attributes["from"] = {"proxy": "clients", "autoscaler": "registry"}.get(fault.role, "proxy")
    dependency = NONE
    if fault.role == "dependency":
        dependency = names.index(target.name) if target.name else 0
    return FaultSpec(
        name=name,
        type=fault.type,
        at=time,
        until=NONE if fault.for_ is None or not FAULTS[fault.type].lasts else time + fault.for_,
        role=fault.role,
        count=ALL if count == "all" else count,
        address=target.address or "",
        dependency=dependency,
        stream=draws.key(document.seed, f"fault/{name}"),
        upstream=fault.stream != "downstream",
        downstream=fault.stream != "upstream",
        toxicity=1.0 if fault.toxicity is None else fault.toxicity,
        attributes=tuple(sorted(attributes.items())),
    )
