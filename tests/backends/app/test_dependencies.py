"""The dependencies role, and app servers that call it."""

import socket
import time
from typing import Any

from windtunnel.backends.live.addresses import split
from windtunnel.backends.live.headers import read_numbers
from windtunnel.core.model import FleetSpec

from ...support import plan
from .running import DEADLINE, app_settings, ask, ask_together, dependency_settings, running, until


def fleet(dependency: dict[str, Any], calls: int = 1) -> FleetSpec:
    document = {
        "duration": "10s",
        "fleet": {"app": {"workers": 16}, "dependencies": [{"name": "db", **dependency}]},
        "endpoints": [{"path": "/", "cpu": {"constant": "1ms"}, "calls": ["db"] * calls}],
        "traffic": [{"name": "users", "stages": [{"for": "10s", "rate": "50/s"}]}],
    }
    return plan(document).fleet


def served(answer: Any) -> tuple[int, ...]:
    times = read_numbers(answer.headers["windtunnel-app"], 4)
    assert times is not None
    return times


def test_calls_hold_the_worker_one_after_another_and_a_full_queue_is_a_500() -> None:
    spec = fleet({"concurrency": 1, "queue": 1, "service": {"constant": "300ms"}}, calls=2)
    with running("dependencies", dependency_settings(spec)) as dependencies:
        addresses = dependencies.wait("up")["addresses"]
        with running("app", app_settings(spec, dependencies=addresses)) as app:
            address = app.wait("up")["address"]
            alone = ask(address, planned="0-0-1")
            assert alone.status == 200
            assert served(alone)[3] - served(alone)[2] > 600_000_000
            answers = sorted(ask_together(address, 3, gap=0.05), key=lambda answer: answer.status)
            assert [answer.status for answer in answers] == [200, 200, 500]
            *others, refused = (served(answer)[3] - served(answer)[2] for answer in answers)
            assert refused < min(others)
            assert ask(addresses["db"]).status == 200


def test_a_dependency_that_is_not_there() -> None:
    spec = fleet({"service": {"constant": "1ms"}})
    with running("app", app_settings(spec, dependencies={"db": "http://127.0.0.1:1"})) as app:
        assert ask(app.wait("up")["address"], planned="0-0-1").status == 500
    with running("app", app_settings(spec)) as missing:
        assert missing.process.wait(DEADLINE) == 1
    assert "expected the URL of dependency 'db'" in "".join(missing.log)


def test_the_cache_expires_is_flushed_and_filled_and_a_dependency_goes_down() -> None:
    cache = {"ttl": "1h", "hit_share": "100%", "keys": 1}
    spec = fleet({"concurrency": 4, "service": {"constant": "300ms"}, "cache": cache})
    with running("dependencies", dependency_settings(spec)) as dependencies:
        address = dependencies.wait("up")["addresses"]["db"]

        def hit() -> bool:
            answer = ask(address, planned="0-0-1", headers={"windtunnel-call": "0"})
            assert answer.status == 200
            return answer.seconds < 0.25

        assert until(hit, "a warm cache")
        dependencies.send("flush", dependency=0)
        until(lambda: not hit(), "flushed")
        assert until(hit, "filled by the call that missed")
        dependencies.send("start", start=dependencies.now() - 3_600_000_000_000)
        until(lambda: not hit(), "expired at the end of its time")
        dependencies.send("flush", dependency=0)
        dependencies.send("disturb", dependency=0, factor=1.0, down=True)
        until(lambda: ask(address, planned="0-0-1").status == 503, "down")


def test_calls_of_a_caller_that_left_are_not_served() -> None:
    spec = fleet({"concurrency": 1, "service": {"constant": "400ms"}})
    with running("dependencies", dependency_settings(spec)) as dependencies:
        address = dependencies.wait("up")["addresses"]["db"]
        clients = [socket.create_connection(split(address)) for _ in range(20)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        for client in clients:
            client.close()
        # One call is under way; the others that waited would take 8 s.
        assert ask(address).seconds < 6
