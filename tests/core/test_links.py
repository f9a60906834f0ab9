"""What bad links do: to content (core.toxics) and to connections (core.closing)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windtunnel.core.closing import (
    carried_since,
    check_time,
    closing_time,
    linger,
    over_limit,
    strikes,
    withheld,
)
from windtunnel.core.draws import ANSWER_LATENCY, UPSTREAM_LATENCY
from windtunnel.core.model import SECOND
from windtunnel.core.toxics import (
    DOWNSTREAM,
    FOREVER,
    UPSTREAM,
    Toxics,
    carriage,
    disturbance,
    healthy,
    with_link,
)

MS = SECOND // 1000
SERVER = 2


def link(upstream: dict[str, float], downstream: dict[str, float] | None = None) -> Toxics:
    return with_link(healthy(1), SERVER, (upstream, downstream or {}))


def sent(toxics: Toxics, now: int, size: int, way: int = UPSTREAM) -> int:
    """When *size* bytes that leave now are through."""
    return now + carriage(toxics, 2 * SERVER + way, now, size, 7, 1, 1, UPSTREAM_LATENCY)


@given(
    st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 10**6)), min_size=1, max_size=30),
    st.integers(1, 10**9),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_more_goes_through_than_the_rate(messages: list[tuple[int, int]], rate: int) -> None:
    """In order, none before it is sent, and in no span of time more than the rate allows; what comes to a free link takes just size / rate."""
    toxics = link({"rate": float(rate)})
    now, free = 0, 0
    for gap, size in messages:
        now += gap
        done = sent(toxics, now, size)
        if size == 0:
            assert done == now
            continue
        assert done == pytest.approx(max(now, free) + size * SECOND / rate, abs=2)
        free = done


def test_directions_and_links_are_queues_of_their_own() -> None:
    toxics = with_link(link({"rate": 1000.0}, {"rate": 1000.0}), 1, ({"rate": 1000.0}, {}))
    assert [sent(toxics, 0, 100), sent(toxics, 0, 100, DOWNSTREAM), sent(toxics, 0, 100)] == [
        100 * MS,
        100 * MS,
        200 * MS,
    ]
    assert carriage(toxics, 2, 0, 100, 7, 1, 1, UPSTREAM_LATENCY) == 100 * MS
    assert carriage(toxics, 3, 0, 100, 7, 1, 1, UPSTREAM_LATENCY) == 0
    assert carriage(toxics, 99, 0, 100, 7, 1, 1, UPSTREAM_LATENCY) == 0


def test_what_is_on_its_way_when_the_rate_changes_stays_on_it() -> None:
    toxics = link({"rate": 1000.0})
    sent(toxics, 0, 500)
    assert sent(with_link(toxics, SERVER, ({"rate": 2000.0}, {})), 0, 100) == 550 * MS
    assert sent(with_link(toxics, SERVER, ({}, {})), 0, 100) == 0


def test_enormous_sizes_and_tiny_rates_stay_in_range() -> None:
    toxics = link({"rate": 1.0, "slice_size": 1, "slice_delay": 10**15, "slice_share": 1.0})
    for now in (0, SECOND, 10**16):
        assert now < sent(toxics, now, 10**15) < 2 * FOREVER


def test_slices_are_gaps_between_pieces() -> None:
    toxics = link({"slice_size": 1000, "slice_delay": 5 * MS, "slice_share": 1.0})
    sizes = (0, 1, 1000, 1001, 2000, 10_000)
    assert [sent(toxics, 0, size) // MS for size in sizes] == [0, 0, 0, 5, 5, 45]


def test_a_share_strikes_whole_connections_and_leaves_every_other_draw_alone() -> None:
    """Two faults of the same share strike different connections; all that goes over one of them is struck."""
    first, second = ({"hold_share": 0.3, "hold_stream": stream, "hold_after": 0} for stream in (11, 12))
    struck = [
        [withheld(link(fields), 2 * SERVER, 5, n, 1, 1) for n in range(4000)] for fields in (first, second)
    ]
    assert [sum(one) / 4000 for one in struck] == [pytest.approx(0.3, abs=0.03)] * 2
    both = sum(a and b for a, b in zip(*struck, strict=True)) / 4000
    assert both == pytest.approx(0.09, abs=0.02)
    late = {"latency": 10 * MS, "latency_share": 0.5, "latency_stream": 3}
    for index in range(200):
        alone, beside = (
            disturbance(link(fields), SERVER, 0, 5, index, 1, UPSTREAM_LATENCY)
            for fields in (late, {**late, **first})
        )
        assert alone == beside
    assert {strikes(11, 0.5, 5, 9, 1, 1) for _ in range(5)} == {strikes(11, 0.5, 5, 9, 1, 1)}
    assert not any(strikes(11, 0.0, 5, n, 1, 1) for n in range(100))
    assert all(strikes(11, 1.0, 5, n, 1, 1) for n in range(100))


def test_when_a_link_closes_a_connection() -> None:
    """After the fault's beginning, or the connection's if that is later; the sooner of two faults; a hold without a timeout never does."""
    reset = {"reset_share": 1.0, "reset_since": SECOND, "reset_after": 200 * MS}
    hold = {"hold_share": 1.0, "hold_since": 2 * SECOND, "hold_after": 100 * MS}

    def closes(upstream: dict[str, float], downstream: dict[str, float], opened: int) -> int:
        return closing_time(link(upstream, downstream), SERVER, 5, 1, 1, 1, opened) // MS

    assert closes(reset, reset, 0) == 1200
    assert closes(reset, reset, 1500 * MS) == 1700
    assert closes({}, hold, 0) == 2100
    assert closes({**reset, **hold}, reset, 0) == 1200
    assert closes({**reset, **hold}, reset, 1950 * MS) == 2100
    assert closes({**hold, "hold_after": 0}, {}, 0) == -1
    assert closing_time(healthy(1), SERVER, 5, 1, 1, 1, 0) == -1


def test_what_a_connection_may_carry() -> None:
    toxics = link({"limit": 1000, "limit_since": SECOND, "limit_share": 1.0})
    line = 2 * SERVER
    assert [over_limit(toxics, line, size, 5, 1, 1, 1) for size in (0, 1000, 1001)] == [False, False, True]
    assert not over_limit(toxics, line + 1, 10**9, 5, 1, 1, 1)
    assert carried_since(toxics, line, 600, SECOND) == 600
    assert carried_since(toxics, line, 600, 0) == 0


def test_how_long_a_descriptor_stays() -> None:
    toxics = link(*[{"linger": 3 * SECOND, "linger_share": 1.0}] * 2)
    assert linger(toxics, SERVER, 5, 1, 1, 1) == 3 * SECOND
    assert linger(toxics, 0, 5, 1, 1, 0) == 0


def test_a_check_needs_both_ways_and_a_connection_that_stays() -> None:
    latency = 10 * MS
    assert check_time(latency, healthy(1), SERVER, SECOND) == 20 * MS
    hold = {"hold_share": 1.0, "hold_after": 0}
    assert check_time(latency, link({}, hold), SERVER, SECOND) == FOREVER
    for after, time in ((15 * MS, FOREVER), (25 * MS, 20 * MS)):
        reset = {"reset_share": 1.0, "reset_after": after}
        assert check_time(latency, link(reset, reset), SERVER, SECOND) == time
    assert check_time(latency, link({"rate": 1.0}, {"rate": 1.0}), SERVER, SECOND) == 20 * MS
    cut: dict[str, float] = {"until": 2 * SECOND}
    for bad in (link(cut), link({}, cut)):
        assert check_time(latency, bad, SERVER, SECOND) > SECOND
    assert disturbance(link({}, cut), SERVER, SECOND, 5, 1, 1, ANSWER_LATENCY) >= SECOND
