"""What is recorded of a turn is what the policy saw, to the bit, also after JSON."""

import json
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core.policies.view import LONG_AGO, FleetView, Proposal, ServerView
from windtunnel.core.records import DECISIONS, METRICS, OBSERVATIONS, actions_text, rows_of, view_of
from windtunnel.core.scaling_decision import Decision, Drain, Launch, Promote, Terminate

NUMBER = st.floats(0, 1e9, allow_nan=False)
TIMES = st.integers(0, 2**53)
SERVER = st.builds(
    ServerView,
    st.text(min_size=1, max_size=8),
    st.none()
    | st.tuples(
        st.fixed_dictionaries(dict.fromkeys(METRICS, NUMBER)),
        st.dictionaries(st.text("abc", min_size=1), NUMBER, max_size=2),
    ).map(lambda both: {**both[0], **both[1]}),
    st.one_of(st.just(LONG_AGO), TIMES),
    st.one_of(st.just(-1), TIMES),
    st.integers(0, 99),
)
VIEW = st.builds(
    FleetView,
    TIMES,
    st.lists(SERVER, max_size=4).map(tuple),
    st.lists(TIMES, max_size=3).map(sorted).map(tuple),
    st.integers(0, 5),
    st.one_of(st.just(-1), TIMES),
    st.integers(0, 5),
    st.integers(-1, 9),
    st.integers(0, 5),
    st.none() | st.dictionaries(st.sampled_from(["requests", "in_flight"]), NUMBER, min_size=1),
    st.integers(0, 9),
    st.one_of(st.just(-1), TIMES),
)


@given(VIEW)
def test_a_view_comes_back_as_it_was(view: FleetView) -> None:
    decision = Decision(3, view.size, "within", (), view, Proposal(3, "within", figures={"average": 0.1}))
    row, seen = json.loads(json.dumps(rows_of(view.now, decision, False)))
    named = dict(zip([name for name, _ in DECISIONS], row, strict=True))
    servers = [dict(zip([name for name, _ in OBSERVATIONS], one, strict=True)) for one in seen]
    assert view_of(named, servers) == view
    assert json.loads(named["figures"]) == {"average": 0.1}


def test_a_turn_that_decided_nothing_has_no_view() -> None:
    row, seen = rows_of(5, Decision(-1, -1, "no lease", ()), True)
    named = dict(zip([name for name, _ in DECISIONS], row, strict=True))
    assert seen == []
    assert view_of(named, []) is None
    assert (named["time_ns"], named["reason"], named["dry_run"]) == (5, "no lease", True)


def test_whatever_a_policy_sees_is_recorded() -> None:
    """A new field must get a column in core.records, or be no part of what policies look at."""
    assert {f.name for f in fields(FleetView)} == {"now", "servers", "booting", "standby", "last_action", "minimum", "maximum",
                                                  "draining", "proxy", "others", "launch_after"}  # fmt: skip
    assert {f.name for f in fields(ServerView)} == {"address", "metrics", "since", "sampled", "number"}
    assert {f.name for f in fields(Proposal)} == {"desired", "reason", "memory", "figures", "blind", "bounds", "promotes",
                                                 "waives", "abstains"}  # fmt: skip


def test_actions_are_counted_or_named() -> None:
    actions = (
        Terminate(4, "i-4", "a4", "drained"),
        Promote("a9"),
        Launch(),
        Launch(),
        Drain(3, "a3"),
        Drain(2, "a2"),
    )
    assert actions_text(actions) == "terminate 4 (drained), promote 1, launch 2, drain 3, drain 2"
