"""The faults of a scenario as explicit occurrences in time."""

from collections.abc import Iterator

from ..core import draws
from ..core.distributions import exponential
from ..core.faults import ALL, FAULTS
from ..core.model import NONE, FaultSpec
from .schema import Document
from .schema_faults import Fault, parse_attributes


def fault_timeline(document: Document) -> tuple[FaultSpec, ...]:
    """Every occurrence, by time; random ones begin before the end of arrivals, and those of one fault never overlap."""
    found = [
        _occurrence(document, fault, number, time)
        for fault in document.faults
        for number, time in enumerate(_times(document, fault))
    ]
    return tuple(sorted(found, key=lambda fault: fault.at))


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


def _occurrence(document: Document, fault: Fault, number: int, time: int) -> FaultSpec:
    target, random = fault.target, fault.every is not None
    names = [dependency.name for dependency in document.fleet.dependencies]
    count = 1 if target.count is None else target.count
    name = f"{fault.name}#{number + 1}" if random else fault.name
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
