"""What the autoscaler tells a policy of each server's age, and of what is on its way out."""

from typing import Any, cast

from windtunnel.core.autoscaler import Autoscaler
from windtunnel.core.model import SECOND, AutoscalerSpec
from windtunnel.core.policies.view import LONG_AGO, FleetView, Memory, Proposal
from windtunnel.core.ports import CloudInstance, Sample, Servers


class Probe:
    """A policy that keeps what it was shown, and changes nothing."""

    kind = "probe"

    def __init__(self) -> None:
        self.view = FleetView(0, ())

    def propose(self, view: FleetView, memory: Memory) -> Proposal:
        """Keep *view*."""
        self.view = view
        return Proposal(view.size, "within")


def instance(number: int) -> CloudInstance:
    return CloudInstance(number, f"i-{number}", f"a{number}", "serving", "running", 0)


def look(books: Autoscaler, second: int, *serving: str) -> None:
    now = second * SECOND
    books.tick(now, Servers(serving), {a: Sample(a, now, 1, 0.1) for a in serving})


def test_a_server_that_was_there_is_warm_and_one_that_came_up_is_as_old_as_its_entry() -> None:
    probe = Probe()
    books = Autoscaler(AutoscalerSpec(cast(Any, probe)))
    books.adopt(0, (instance(1), instance(2)))
    look(books, 1, "a1", "foreign")
    books.launched(2 * SECOND, instance(3))
    look(books, 9, "a1", "a2", "a3", "foreign")
    ages = {server.address: server.since for server in probe.view.servers}
    assert ages == {"a1": LONG_AGO, "foreign": LONG_AGO, "a2": 9 * SECOND, "a3": 9 * SECOND}


def test_draining_instances_are_counted_apart() -> None:
    probe = Probe()
    books = Autoscaler(AutoscalerSpec(cast(Any, probe)))
    books.adopt(0, (instance(1), instance(2)))
    look(books, 1, "a1", "a2")
    books.drained(2 * SECOND, 2)
    look(books, 3, "a1")
    assert (probe.view.size, probe.view.draining) == (1, 1)
