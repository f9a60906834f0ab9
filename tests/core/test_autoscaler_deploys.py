"""The autoscaler beside a deploy: what is being updated is there, and nobody's but the deploy's."""

from dataclasses import replace

from windtunnel.core.autoscaler import ORPHAN_GRACE, Autoscaler
from windtunnel.core.model import SECOND, AutoscalerSpec
from windtunnel.core.policies import TargetTracking
from windtunnel.core.ports import Sample, Servers
from windtunnel.core.scaling_decision import Drain, Terminate

from .test_autoscaler_guards import instance, said

SPEC = AutoscalerSpec(
    TargetTracking(100.0, "requests"), minimum=1, dead_after=5 * SECOND, boot_timeout=20 * SECOND,
    drain_grace=SECOND, drain_timeout=10 * SECOND,
)  # fmt: skip


def books_of(*numbers: int, spec: AutoscalerSpec = SPEC) -> Autoscaler:
    """Books in which these serve."""
    books = Autoscaler(spec)
    books.adopt(0, tuple(instance(number) for number in numbers))
    listed = Servers(tuple(f"s{number}" for number in numbers))
    books.tick(0, listed, said(0, 90, *numbers))
    return books


def test_what_is_out_of_the_lists_for_an_update_counts_as_booting_and_is_not_replaced() -> None:
    books = books_of(1, 2, 3)
    for second in range(1, 40):
        now = second * SECOND
        decision = books.tick(now, Servers(("s1", "s2")), said(now, 90, 1, 2), updating=("s3",))
        assert decision.actions == ()
        assert decision.view is not None
        assert (decision.actual, len(decision.view.booting), decision.view.others) == (3, 1, 0)
    back = books.tick(40 * SECOND, Servers(("s1", "s2", "s3")), said(40 * SECOND, 90, 1, 2, 3))
    assert (back.actual, back.actions) == (3, ())


def test_a_server_that_is_updated_and_listed_is_neither_silent_nor_a_victim() -> None:
    books = books_of(1, 2)
    listed = Servers(("s1", "s2"))
    for second in range(1, 12):
        now = second * SECOND
        decision = books.tick(now, listed, said(now, 90, 1), updating=("s2",))
        assert (decision.actual, decision.actions) == (2, ())
    calm = books.tick(12 * SECOND, listed, said(12 * SECOND, 10, 1, 2), updating=("s2",))
    assert calm.actions == (Drain(1, "s1"),), "the youngest is the deploy's"
    silent = books.tick(17 * SECOND, listed, said(17 * SECOND, 90, 1))
    assert silent.actions[0] == Terminate(2, "i-2", "s2", "silent"), "from the end of the update on"


def test_what_a_deploy_launches_is_not_cancelled_and_counts_once_it_is_listed() -> None:
    books = books_of(1)
    books.adopt(SECOND, (instance(1), replace(instance(2), launched=SECOND)))
    for second in range(1, 30):
        now = second * SECOND
        decision = books.tick(now, Servers(("s1",)), said(now, 10, 1), updating=("s2",))
        assert (decision.actual, decision.actions) == (1, ()), (
            "neither too many nor a boot that takes too long"
        )
    both = books.tick(30 * SECOND, Servers(("s1", "s2")), said(30 * SECOND, 90, 1, 2))
    assert both.actual == 2


def test_an_orphan_is_spared_while_a_deploy_is_about_it() -> None:
    books = books_of(1, spec=replace(SPEC, adopts_orphans=False))
    books.adopt(0, (instance(1), instance(2)), frozenset({2}))
    late = 2 * ORPHAN_GRACE
    assert books.tick(late, Servers(("s1",)), said(late, 90, 1), updating=("s2",)).actions == ()
    late += ORPHAN_GRACE
    ended = books.tick(late, Servers(("s1",)), said(late, 90, 1)).actions
    assert ended == (Terminate(2, "i-2", "s2", "orphan"),)


def test_a_successor_knows_an_update_from_a_drain() -> None:
    """A new autoscaler finds a server out of the lists that says it drains: the deploy's, or its predecessor's."""
    for updating, reason in ((("s2",), ""), ((), "drained")):
        books = Autoscaler(SPEC)
        books.adopt(0, (instance(1), instance(2)))
        drained = Sample("s2", SECOND, 0, 0.1, state="draining")
        first = books.tick(
            SECOND, Servers(("s1",)), {**said(SECOND, 90, 1), "s2": drained}, updating=updating
        )
        assert first.actual == (2 if updating else 1)
        then = 3 * SECOND
        again = drained._replace(time=then)
        second = books.tick(then, Servers(("s1",)), {**said(then, 90, 1), "s2": again}, updating=updating)
        assert second.actions == ((Terminate(2, "i-2", "s2", reason),) if reason else ())


def test_a_drain_of_its_own_goes_on_after_the_update() -> None:
    books = books_of(1, 2)
    books.drained(SECOND, 2)
    during = books.tick(15 * SECOND, Servers(("s1", "s2")), said(15 * SECOND, 90, 1, 2), updating=("s2",))
    assert during.actions == ()
    after = books.tick(16 * SECOND, Servers(("s1",)), said(16 * SECOND, 90, 1, 2))
    assert after.actions == (Terminate(2, "i-2", "s2", "drained"),)
