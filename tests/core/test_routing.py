"""Who gets the request."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core import load_index, routing, table
from windtunnel.core.draws import draw

ALGORITHMS = sorted(routing.ALGORITHMS.values())


def fleet(*in_flight: int, role: int = table.SERVING) -> table.Table:
    """Servers 1, 2, ... with so many requests in flight, all available."""
    made = table.empty_table(len(in_flight))
    for slot, busy in enumerate(in_flight):
        table.list_server(made, slot, slot + 1, role, 1, 0)
        made["in_flight"][slot] = busy
    return made


def route(algorithm: int, servers: table.Table, n: int = 0, *, role: int = table.SERVING, cap: int = -1,
          slow_start: int = 0, now: int = 0, exclude: int = 0, last: int = 0) -> int:  # fmt: skip
    """The id picked for the n-th request, or the negative answer."""
    bits = draw(1, n, 0, 8)
    slot = routing.route(
        algorithm, servers, load_index.no_index(), len(servers), role, cap, slow_start, now, bits, exclude,
        last, last, n,
    )  # fmt: skip
    return int(servers["id"][slot]) if slot >= 0 else slot


def test_round_robin_goes_round() -> None:
    servers, last, order = fleet(0, 9, 0), 0, []
    for _ in range(6):
        last = route(routing.ROUND_ROBIN, servers, last=last)
        order.append(last)
    assert order == [1, 2, 3, 1, 2, 3]


def test_round_robin_survives_a_departure() -> None:
    servers = fleet(0, 0, 0)
    servers["available"][1] = 0
    assert route(routing.ROUND_ROBIN, servers, last=1) == 3
    assert route(routing.ROUND_ROBIN, servers, last=7) == 1


def test_least_connections_takes_the_least_and_rotates_ties() -> None:
    assert route(routing.LEAST_CONNECTIONS, fleet(3, 1, 2)) == 2
    picks = [route(routing.LEAST_CONNECTIONS, fleet(1, 1, 1), last=last) for last in (0, 1, 2, 3)]
    assert picks == [1, 2, 3, 1]


def test_power_of_two_never_takes_the_busiest() -> None:
    picks = Counter(route(routing.POWER_OF_TWO, fleet(0, 5, 9), n) for n in range(3000))
    assert picks[3] == 0
    assert picks[1] / 3000 == pytest.approx(2 / 3, abs=0.03)


def test_random_is_uniform_also_when_some_are_away() -> None:
    servers = fleet(*[0] * 10)
    servers["available"][[1, 4, 5, 7, 8, 9]] = 0
    picks = Counter(route(routing.RANDOM, servers, n) for n in range(8000))
    assert set(picks) == {1, 3, 4, 7}
    assert all(count / 8000 == pytest.approx(0.25, abs=0.02) for count in picks.values())


def test_smooth_weighted_is_exact_and_smooth() -> None:
    servers = fleet(0, 0, 0)
    servers["weight"] = [5, 1, 1]
    picks = [route(routing.WEIGHTED, servers) for _ in range(7)]
    assert picks == [1, 1, 2, 1, 3, 1, 1]  # nginx's own example


def test_consistent_hash_moves_only_what_it_must() -> None:
    servers = fleet(*[0] * 8)
    before = {n: route(routing.CONSISTENT_HASH, servers, n) for n in range(2000)}
    assert all(count / 2000 == pytest.approx(1 / 8, abs=0.03) for count in Counter(before.values()).values())
    servers["available"][3] = 0
    after = {n: route(routing.CONSISTENT_HASH, servers, n) for n in range(2000)}
    assert all(after[n] == before[n] for n in before if before[n] != 4)
    assert 4 not in after.values()


def test_peak_ewma_shuns_a_server_that_was_slow() -> None:
    servers = fleet(0, 0)
    for slot, latency in ((0, 500_000_000), (1, 5_000_000)):
        routing.observe_latency(servers, slot, 1_000_000_000, latency)
    picks = Counter(route(routing.PEAK_EWMA, servers, n, now=1_000_000_000) for n in range(500))
    assert picks[2] == 500
    routing.observe_latency(servers, 0, 31_000_000_000, 5_000_000)
    assert servers["ewma"][0] < 40_000_000


def test_canaries_take_each_fourth_request() -> None:
    roles = [routing.wanted_role(sequence, *routing.each(4)) for sequence in range(1, 9)]
    assert roles == [0, 0, 0, 1, 0, 0, 0, 1]
    assert routing.wanted_role(4, *routing.each(0)) == table.SERVING


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 10**12))
def test_a_share_is_as_even_as_can_be(numerator: int, denominator: int, before: int) -> None:
    """Of any so many requests in a row the canaries get their part of them, to less than one."""
    numerator = min(numerator, denominator)
    for length in (1, 7, denominator, 3 * denominator):
        sequences = range(before + 1, before + 1 + length)
        canaries = sum(routing.wanted_role(s, numerator, denominator) == table.CANARY for s in sequences)
        assert abs(canaries * denominator - length * numerator) < denominator
        if length % denominator == 0:
            assert canaries * denominator == length * numerator


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_roles_stand_in_for_each_other(algorithm: int) -> None:
    assert route(algorithm, fleet(0, 0), role=table.CANARY) in (1, 2)
    assert route(algorithm, fleet(0, 0, role=table.CANARY), role=table.SERVING) in (1, 2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nobody_there_and_everybody_full(algorithm: int) -> None:
    assert route(algorithm, table.empty_table(0)) == routing.NO_SERVER
    assert route(algorithm, fleet(4, 4), cap=4) == routing.SHED
    assert route(algorithm, fleet(4, 3), cap=4) == 2
    assert route(algorithm, fleet(0), exclude=1) == routing.NO_SERVER


def test_slow_start_gives_a_new_server_its_share_little_by_little() -> None:
    servers = fleet(0, 0)
    servers["since"][1] = 1_000
    for now, share in ((1_000, 0.1), (1_500, 0.5), (2_000, 1.0)):
        last, picks = 0, Counter[int]()
        for n in range(4000):
            last = route(routing.ROUND_ROBIN, servers, n, slow_start=1_000, now=now, last=last)
            picks[last] += 1
        assert picks[2] / picks[1] == pytest.approx(share, abs=0.06)


def test_slow_start_never_refuses_everybody() -> None:
    servers = fleet(0)
    servers["since"] = 10**9
    assert all(route(routing.ROUND_ROBIN, servers, n, slow_start=10**12, now=10**9) == 1 for n in range(100))


@given(
    st.sampled_from(ALGORITHMS),
    st.lists(st.tuples(st.booleans(), st.integers(0, 1), st.integers(0, 4)), max_size=12),
    st.integers(-1, 4),
    st.integers(0, 13),
    st.integers(0, 1),
    st.integers(0, 1000),
)
def test_only_eligible_servers_are_picked(
    algorithm: int, rows: list[tuple[bool, int, int]], cap: int, exclude: int, role: int, n: int
) -> None:
    servers = fleet(*[busy for _, _, busy in rows])
    servers["available"] = [int(up) for up, _, _ in rows]
    servers["role"] = [role for _, role, _ in rows]
    servers["weight"] = 1
    free = {
        slot + 1: kind
        for slot, (up, kind, busy) in enumerate(rows)
        if up and (cap < 0 or busy < cap) and slot + 1 != exclude
    }
    found = route(algorithm, servers, n, role=role, cap=cap, exclude=exclude)
    if not free:
        assert found in (routing.NO_SERVER, routing.SHED)
    else:
        assert found in free
        assert free[found] == role or role not in free.values()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 1)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 3), st.booleans()), max_size=30),
    st.integers(0, 22),
    st.integers(-1, 4),
)
def test_the_load_index_answers_as_a_look_at_every_server_does(
    rows: list[tuple[int, bool, int]], changes: list[tuple[int, int, bool]], last: int, cap: int
) -> None:
    servers = fleet(*(busy for busy, _, _ in rows))
    servers["available"] = [available for _, available, _ in rows]
    servers["role"] = [role for _, _, role in rows]
    load = load_index.build_index(servers)
    for slot, busy, available in changes:
        if slot < len(servers):
            servers["in_flight"][slot], servers["available"][slot] = busy, available
            load_index.load_changed(servers, load, slot)
    assert (load == load_index.build_index(servers)).all()
    for role in (table.SERVING, table.CANARY):
        answers = [
            routing.least_loaded(servers, index, len(servers), role, cap, 0, 0, 0, 0, last)
            for index in (load, load_index.no_index())
        ]
        assert answers[0] == answers[1]
