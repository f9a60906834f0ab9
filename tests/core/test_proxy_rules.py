"""Admission, retries, health: the proxy's smaller decisions, and the app server's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from windtunnel.core import admission, appserver, health, retries, table
from windtunnel.core.draws import draw
from windtunnel.core.network import link_delay
from windtunnel.core.outcomes import Outcome, retryable

from .test_routing import fleet


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=60))
def test_the_idle_list_is_least_recently_used_first(steps: list[tuple[bool, int]]) -> None:
    connections, model = admission.empty_connections(10), []
    for push, row in steps:
        if push and row not in model:
            admission.idle_push(connections, row)
            model.append(row)
        elif not push:
            admission.idle_remove(connections, row)
            model = [other for other in model if other != row]
        assert admission.idle_oldest(connections) == (model[0] if model else 0)


def test_syn_retries_as_linux() -> None:
    assert [admission.syn_delay(tries) for tries in range(8)] == [0, 1, 3, 7, 15, 31, 63, -1]
    assert admission.SYN_GIVE_UP_S == 127


@pytest.mark.parametrize(
    ("descriptor", "memory", "overload", "exhaustion", "idle", "verdict"),
    [
        (True, True, admission.REFUSE, admission.REFUSE, 0, admission.ACCEPT),
        (False, True, admission.REFUSE, admission.REFUSE, 5, admission.WAIT),
        (False, True, admission.EVICT, admission.REFUSE, 5, admission.MAKE_ROOM),
        (False, True, admission.EVICT, admission.REFUSE, 0, admission.WAIT),
        (True, False, admission.EVICT, admission.REFUSE, 5, admission.RESET),
        (True, False, admission.REFUSE, admission.EVICT, 5, admission.MAKE_ROOM),
        (True, False, admission.REFUSE, admission.EVICT, 0, admission.RESET),
        (True, False, admission.EVICT, admission.CRASH, 5, admission.GO_DOWN),
    ],
)
def test_admission(
    descriptor: bool, memory: bool, overload: int, exhaustion: int, idle: int, verdict: int
) -> None:
    assert admission.admit_connection(descriptor, memory, overload, exhaustion, idle) == verdict


def test_limits_are_inclusive() -> None:
    assert admission.fits_memory(40, 10, 5, 100)
    assert not admission.fits_memory(40, 10, 6, 100)
    assert admission.fits_socket_buffer(100, 156, 256)
    assert not admission.fits_socket_buffer(100, 157, 256)
    assert admission.queue_connection(127, 128)
    assert not admission.queue_connection(128, 128)


def test_backoff_doubles_and_spreads() -> None:
    assert [retries.backoff(100, 0.0, retry, 5) for retry in (1, 2, 3)] == [100, 200, 400]
    spread = [retries.backoff(1000, 0.5, 1, draw(1, n, 1, 7)) for n in range(2000)]
    assert min(spread) >= 500
    assert max(spread) <= 1500
    assert sum(spread) / 2000 == pytest.approx(1000, rel=0.03)
    assert retries.backoff(100, 0.0, 1000, 5) == 100 << retries.BACKOFF_LIMIT


def test_what_the_proxy_repeats() -> None:
    def allowed(
        outcome: Outcome,
        tries: int = 1,
        retrying: int = 0,
        budget: float = 0.1,
        method: str = "GET",
        body: int = 0,
    ) -> bool:
        idempotent, kept = method in retries.IDEMPOTENT, retries.keeps_content(outcome, body)
        return retries.proxy_retries(outcome, idempotent, kept, tries, 1, 100, retrying, budget)

    assert allowed(Outcome.CONNECT_FAILED)
    assert allowed(Outcome.UPSTREAM_RESET)
    assert allowed(Outcome.QUEUE_FULL)
    assert not allowed(Outcome.UPSTREAM_TIMEOUT)
    assert not allowed(Outcome.APP_ERROR)
    assert not allowed(Outcome.CONNECT_FAILED, tries=2)
    assert allowed(Outcome.CONNECT_FAILED, retrying=9)
    assert not allowed(Outcome.CONNECT_FAILED, retrying=10)
    assert allowed(Outcome.CONNECT_FAILED, retrying=2, budget=0.0)
    assert not allowed(Outcome.CONNECT_FAILED, retrying=3, budget=0.0)
    assert allowed(Outcome.CONNECT_FAILED, retrying=10**6, budget=-1.0)
    assert not allowed(Outcome.UPSTREAM_RESET, method="POST"), "a server may have done what it was asked"
    assert allowed(Outcome.QUEUE_FULL, method="POST")
    assert allowed(Outcome.UPSTREAM_RESET, method="PUT", body=retries.REPLAY_LIMIT)
    too_much = retries.REPLAY_LIMIT + 1
    assert not allowed(Outcome.UPSTREAM_RESET, body=too_much)
    assert not allowed(Outcome.QUEUE_FULL, body=too_much)
    assert allowed(Outcome.CONNECT_FAILED, method="POST", body=too_much), "nothing of it was passed on"


def test_clients_repeat_failures_only() -> None:
    again = {outcome for outcome in Outcome if retryable(outcome)}
    assert again == set(Outcome) - {
        Outcome.PENDING, Outcome.OK, Outcome.BAD_REQUEST, Outcome.UNREAD, Outcome.UNFINISHED,
    }  # fmt: skip


def test_health_needs_a_streak_either_way() -> None:
    servers = fleet(0)
    changes = [health.check(servers, 0, passed, 2, 3) for passed in (False, False, True, False, False, False)]
    assert changes == [0, 0, 0, 0, 0, -1]
    assert servers["available"][0] == 0
    assert [health.check(servers, 0, True, 2, 3) for _ in range(3)] == [0, 1, 0]
    assert servers["available"][0] == 1


def fail(servers: table.Table, slot: int, now: int, times: int = 1) -> int:
    until = 0
    for _ in range(times):
        until = health.record_result(servers, len(servers), slot, True, now, 5, 10, 50)
    return until


def test_ejection_after_consecutive_failures_grows_and_is_forgiven() -> None:
    servers = fleet(0, 0)
    assert fail(servers, 0, 100, 4) == 0
    health.record_result(servers, 2, 0, False, 100, 5, 10, 50)
    assert fail(servers, 0, 100, 4) == 0
    assert fail(servers, 0, 100) == 110
    assert not health.uneject(servers, 0, 105)
    assert health.uneject(servers, 0, 110)
    assert fail(servers, 0, 112, 5) == 132, "the second ejection is twice as long"
    health.uneject(servers, 0, 132)
    assert fail(servers, 0, 153, 5) == 163, "two quiet base times take two off"


def test_no_more_than_the_share_is_ejected() -> None:
    servers = fleet(0, 0, 0)
    assert fail(servers, 0, 0, 5) == 10
    assert fail(servers, 1, 0, 50) == 0
    lone = fleet(0)
    assert fail(lone, 0, 0, 50) == 0


def test_the_breaker_has_hysteresis() -> None:
    assert [health.breaker(0, busy, 10) for busy in (9, 10)] == [0, 1]
    assert [health.breaker(1, busy, 10) for busy in (9, 6, 5)] == [1, 1, 0]
    assert health.breaker(0, 10**6, -1) == 0


def test_app_server_admission() -> None:
    assert appserver.admit_request(1, 2, 0, 0) == appserver.START
    assert appserver.admit_request(2, 2, 4, 5) == appserver.QUEUE
    assert appserver.admit_request(2, 2, 5, 5) == appserver.REJECT
    assert appserver.admit_request(2, 2, 10**6, -1) == appserver.QUEUE
    assert appserver.memory_used(100, 10, 3, 50, 2, 7) == 194
    assert [appserver.out_of_memory(used, 144) for used in (144, 145)] == [False, True]
    assert not appserver.out_of_memory(10**12, -1)


def test_link_delay_is_uniform_around_latency() -> None:
    assert link_delay(500, 0, 1, 2, 3, 4) == 500
    delays = [link_delay(20_000, 5_000, 9, n, 1, 11) for n in range(4000)]
    assert min(delays) >= 15_000
    assert max(delays) <= 25_000
    assert sum(delays) / 4000 == pytest.approx(20_000, rel=0.01)
