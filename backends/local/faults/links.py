"""Faults of links: what they do to messages (core.toxics) and to connections (core.closing)."""

from collections.abc import Mapping, Sequence

from ....core.fault_family import Active, Targets, link_toxic
from ....core.faults import FAULTS
from ....core.model import FaultSpec
from .family import FlightFamily
from .parts import Parts

CLIENTS = 0
"""The number of the link between clients and proxy; a server's has the server's."""


class LinkFaults(FlightFamily):
    """Implements Family: the command ``link`` to the proxy for links to servers, to the load generators for the clients'; ``cut`` to whoever cannot reach the registry.

    Where the flight's places carry faults of links themselves, in network namespaces, they are told instead. A message of a link carries the fields of core.toxics.TOXIC for both directions; what they do to messages is decided there.
    """

    types = frozenset(name for name, fault in FAULTS.items() if fault.family == "links")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._active = Active()

    def begin(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if is_from_registry(fault):
            self._parts.troubles.cut.update(targets)
            self._tell_cut(targets)
            return
        self._active.add(fault, targets)
        self._apply(targets)

    def end(self, fault: FaultSpec, targets: Targets) -> None:
        """See Family."""
        if is_from_registry(fault):
            self._parts.troubles.cut.subtract(targets)
            self._tell_cut(targets)
            return
        self._active.remove(fault)
        self._apply(targets)

    def _tell_cut(self, targets: Targets) -> None:
        standing, places = self._parts.standing, self._parts.places
        for target in targets:
            cut = bool(self._parts.troubles.cut[target])
            if "partition" in places.carried and target != "autoscaler":
                places.cut(target, self._registry_ports() if cut else ())
                continue
            tell = standing.put if cut else standing.lift
            tell(target, "cut", {"command": "cut", "cut": cut})

    def _registry_ports(self) -> list[int]:
        assert self._parts.redis is not None, "a registry of the user's was to be cut off from a namespace"
        return [self._parts.redis.port, *self._parts.replicas.ports()]

    def _apply(self, targets: Targets) -> None:
        standing = self._parts.standing
        for target in targets:
            active, carried = self._active.on(target), self._parts.places.carried
            place = CLIENTS if target == "proxy" else int(target)
            if carried:
                self._parts.places.disturb(place, link_toxic(one for one in active if one.type in carried))
            wrong = link_toxic(one for one in active if one.type not in carried)
            tell = standing.put if any(wrong) else standing.lift
            command = {"command": "link", "place": place, "wrong": wrong, "start": self._parts.start}
            tell("load" if place == CLIENTS else "proxy", f"link {place}", command)
            if place == CLIENTS:
                self._tell_descriptors(wrong)

    def _tell_descriptors(self, wrong: Sequence[Mapping[str, float]]) -> None:
        """Descriptors of clients' connections are the proxy's."""
        lingers = [{name: fields[name] for name in fields if name.startswith("linger")} for fields in wrong]
        tell = self._parts.standing.put if any(lingers) else self._parts.standing.lift
        command = {"command": "link", "place": CLIENTS, "wrong": lingers, "start": self._parts.start}
        tell("proxy", f"link {CLIENTS}", command)


def is_from_registry(fault: FaultSpec) -> bool:
    """Whether it cuts its targets off from the registry."""
    return fault.type == "partition" and fault.word("from") == "registry"
