"""The app role as a process: HTTP, registry, monitors, commands, its end."""

import dataclasses
import os
import signal
import socket
import time
from itertools import pairwise

import psutil
import pytest
from windtunnel.backends.live.addresses import split
from windtunnel.backends.live.headers import read_numbers
from windtunnel.backends.registry import RedisRegistry

from ..redis_fixture import RedisServer
from .running import SECOND, Role, app_settings, ask, ask_together, fleet_of, running, until

MIB = 1 << 20


def address_of(role: Role) -> str:
    return str(role.wait("up")["address"])


def test_a_planned_request_and_its_times() -> None:
    fleet = fleet_of(
        {"cpu": {"constant": "50ms"}, "io": {"constant": "50ms"}, "response_size": "1000B"}, workers=4
    )
    with running("app", app_settings(fleet)) as role:
        address = address_of(role)
        before = role.now()
        answer = ask(address, planned="0-3-1")
        times = read_numbers(answer.headers["windtunnel-app"], 4)
        assert (answer.status, len(answer.body)) == (200, 1000)
        assert times is not None
        assert before < times[0] <= times[1] < times[2] < times[3] < role.now()
        assert all(later - earlier > 45_000_000 for earlier, later in pairwise(times[1:]))
        head = ask(address, method="HEAD", planned="0-4-1")
        assert (head.body, head.headers["content-length"]) == (b"", "1000")
        foreign = ask(address, planned="no-such-thing")
        assert foreign.status == 200
        assert "windtunnel-app" not in foreign.headers
        assert ask(address, "/nowhere").status == 404
        post = ask(
            address, method="POST", body=bytes(3_000_000), planned="0-5-1", headers={"Expect": "100-continue"}
        )
        assert post.status == 200


def exchange(address: str, message: bytes) -> bytes:
    """Everything that comes back on one connection until the server closes it."""
    with socket.create_connection(split(address), timeout=20) as client:
        client.sendall(message)
        answer = b""
        while part := client.recv(65_536):
            answer += part
    return answer


def test_connections_are_kept_as_the_client_wants_and_answers_come_in_order() -> None:
    with running("app", app_settings(fleet_of({"response_size": "9B"}))) as role:
        address = address_of(role)
        old = exchange(address, b"GET / HTTP/1.0\r\n\r\n")
        assert old.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
        assert old.endswith(b"Content-Length: 9\r\nConnection: close\r\n\r\n" + bytes(9))
        get, last = (
            b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        several = exchange(address, get % b"/no" + get % b"/" + get % b"/health" + last)
        statuses = [part.split()[0] for part in several.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"404", b"200", b"200", b"200"]
        assert several.endswith(b"Connection: close\r\n\r\n")
        assert exchange(address, b"GET / HTTP/1.1\r\nbad header\r\n\r\n").startswith(b"HTTP/1.0 400")


def test_a_large_answer_to_a_slow_reader() -> None:
    size = 30 * MIB
    with running("app", app_settings(fleet_of({"response_size": "30MiB"}))) as role:
        with socket.create_connection(split(address_of(role)), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            role.wait("second", 2)
            got = 0
            while got < size:
                part = client.recv(1 << 20)
                assert part
                got += len(part)
        assert size < got + 1000 < size + 2000


def test_workers_queue_and_health_over_http() -> None:
    fleet = fleet_of({"cpu": {"constant": "600ms"}}, workers=1, queue=1)
    with running("app", app_settings(fleet)) as role:
        address = address_of(role)
        answers = ask_together(address, 3, gap=0.1)
        assert [answer.status for answer in answers] == [200, 200, 503]
        assert answers[2].headers["windtunnel-cause"] == "queue_full"
        assert answers[2].headers["windtunnel-app"].endswith("-x-x-x")
        assert int(answers[2].headers["retry-after"]) > 0
        assert answers[2].seconds < 0.5
        assert 0.6 < answers[0].seconds < answers[1].seconds
        first, second = (read_numbers(answer.headers["windtunnel-app"], 4) for answer in answers[:2])
        assert first is not None
        assert second is not None
        assert second[1] >= first[3]


def test_health_takes_no_worker_and_a_client_that_leaves_ends_no_work() -> None:
    fleet = fleet_of({"cpu": {"constant": "1s"}}, workers=1)
    with running("app", app_settings(fleet)) as role:
        address = address_of(role)
        with socket.create_connection(split(address)) as gone:
            gone.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nwindtunnel-request: 0-0-1\r\n\r\n")
            time.sleep(0.2)
        health = ask(address, "/health")
        assert (health.status, health.seconds < 0.7) == (200, True)
        behind = read_numbers(ask(address, planned="0-1-1").headers["windtunnel-app"], 4)
        assert behind is not None
        assert behind[1] - behind[0] > 200_000_000


def test_registration_samples_and_commands(redis_server: RedisServer) -> None:
    fleet = fleet_of(
        {"cpu": {"constant": "100ms"}}, workers=4, cores=2, memory={"total": "400MiB", "base": "200MiB"}
    )
    settings = app_settings(fleet, redis_server.url, role="standby")
    registry = RedisRegistry(redis_server.client)
    role = Role("app", settings)
    address = address_of(role)
    assert role.wait("up")["number"] == 7
    assert registry.servers().standby == (address,)
    for index in range(5):
        ask(address, planned=f"0-{index}-1")
    until(lambda: sum(line["requests"] for line in role.said("second")) == 5, "requests counted")
    assert sum(line["cpu_ns"] for line in role.said("second")) == pytest.approx(500_000_000, abs=60_000_000)
    role.wait("second", 3)
    for line in role.said("second"):
        assert line["t"] % SECOND < SECOND // 2
        assert line["memory"] == 200 * MIB
    sample = until(lambda: registry.read_samples([address]).get(address), "a sample")
    assert (sample.version, sample.state, sample.in_flight) == ("1", "standby", 0)
    assert sample.memory == pytest.approx(0.5, abs=0.05)
    assert abs(role.now() - sample.time) < 5 * SECOND
    role.send("promote")
    until(lambda: registry.read_samples([address])[address].state == "serving", "promoted")
    role.send("drain")
    until(lambda: registry.read_samples([address])[address].state == "draining", "draining")
    assert registry.servers().standby == (address,)
    assert role.end() == 0
    assert registry.servers().standby == ()


def test_a_stop_lets_requests_end(redis_server: RedisServer) -> None:
    settings = app_settings(fleet_of({"cpu": {"constant": "1s"}}), redis_server.url)
    role = Role("app", settings)
    with socket.create_connection(split(address_of(role)), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nwindtunnel-request: 0-0-1\r\n\r\n")
        time.sleep(0.3)
        role.process.send_signal(signal.SIGTERM)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert role.end() == 0


def test_nobody_listens_before_the_machine_has_booted() -> None:
    settings = app_settings(fleet_of())
    settings = settings.model_copy(update={"ready_at": 3 * SECOND})
    with running("app", settings) as role:
        until(lambda: role.now() > 2 * SECOND, "the clock")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((settings.host, settings.port))
        assert role.wait("up")["t"] >= 3 * SECOND
        assert ask(address_of(role)).status == 200
    late = Role("app", app_settings(fleet_of(), ready_at=10**15))
    assert late.end() == 0


def test_redis_goes_and_comes_back(redis_server: RedisServer) -> None:
    redis_server.stop()
    with running("app", app_settings(fleet_of(), redis_server.url)) as role:
        address = address_of(role)
        role.wait("second", 2)
        assert ask(address).status == 200
        redis_server.start()
        registry = RedisRegistry(redis_server.client)
        until(lambda: registry.servers().serving == (address,), "registered late")
        until(lambda: address in registry.read_samples([address]), "sampled late")
    assert len([line for line in role.log if "Redis is away" in line]) == 1
    assert len([line for line in role.log if "Redis is back" in line]) == 1


def test_a_forgotten_server_registers_again_unless_it_drains(redis_server: RedisServer) -> None:
    fleet = fleet_of()
    settings = app_settings(dataclasses.replace(fleet, reregister=SECOND), redis_server.url)
    registry = RedisRegistry(redis_server.client)
    with running("app", settings) as role:
        address = address_of(role)
        registry.deregister(address)
        until(lambda: registry.servers().serving == (address,), "registered again")
        role.send("drain")
        until(lambda: registry.read_samples([address])[address].state == "draining", "draining")
        registry.deregister(address)
        count = len(role.said("second"))
        role.wait("second", count + 3)
        assert registry.servers().serving == ()


def test_out_of_memory_kills(redis_server: RedisServer) -> None:
    memory = {"total": "210MiB", "base": "150MiB", "per_request": "40MiB"}
    fleet = fleet_of({"cpu": {"constant": "20s"}}, workers=4, memory=memory)
    role = Role("app", app_settings(fleet, redis_server.url))
    host, port = split(address_of(role))
    process = psutil.Process(role.process.pid)
    with socket.create_connection((host, port)) as one, socket.create_connection((host, port)) as two:
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: abs(process.memory_info().rss - 190 * MIB) < 12 * MIB, "memory really held")
        two.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert role.process.wait(20) == -signal.SIGKILL
    role.join()
    deaths = [line for line in role.lines if line.get("event") == "out_of_memory"]
    assert [(line["server"], line["memory"], line["lost"]) for line in deaths] == [(7, 230 * MIB, 2)]
    assert len(RedisRegistry(redis_server.client).servers().serving) == 1


def test_memory_is_given_back() -> None:
    fleet = fleet_of({"cpu": {"constant": "500ms"}}, memory={"base": "100MiB", "per_request": "100MiB"})
    with running("app", app_settings(fleet)) as role:
        address = address_of(role)
        process = psutil.Process(role.process.pid)
        until(lambda: abs(process.memory_info().rss - 100 * MIB) < 12 * MIB, "the base")
        with socket.create_connection(split(address)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: process.memory_info().rss > 185 * MIB, "the request's")
        assert until(lambda: process.memory_info().rss < 115 * MIB, "given back")
        role.send("leak", bytes=50 * MIB)
        assert until(lambda: process.memory_info().rss > 140 * MIB, "lost")
        role.send("disturb", factor=1.0, share=1.0, status=503)
        assert until(lambda: ask(address).status == 503, "a faulty server")


def test_burning_takes_the_cores_and_no_more() -> None:
    fleet = fleet_of({"cpu": {"constant": "150ms"}}, workers=8, cores=1)
    role = Role("app", app_settings(fleet, demand="burn"))
    try:
        address = address_of(role)
        spinners = [one for one in role.tree() if any("spinner" in word for word in one.cmdline())]
        assert len(spinners) == 1
        before = sum(spinners[0].cpu_times()[:2])
        answers = ask_together(address, 6)
        burnt = sum(spinners[0].cpu_times()[:2]) - before
        assert 0.88 < burnt < 1.0
        times = sorted(read_numbers(answer.headers["windtunnel-app"], 4) or () for answer in answers)
        # First come first served, on one core.
        assert [one[2] for one in times] == sorted(one[2] for one in times)
        assert all(b[2] - a[2] > 140_000_000 for a, b in pairwise(times))
        until(lambda: sum(line["cpu_ns"] for line in role.said("second")) > 880_000_000, "counted")
        os.kill(role.process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(spinners, timeout=20)
        assert not alive
    finally:
        role.end()


def test_a_spinner_in_the_midst_of_its_work_ends_with_the_role() -> None:
    fleet = fleet_of({"cpu": {"constant": "60s"}}, workers=2, cores=2)
    role = Role("app", app_settings(fleet, demand="burn"))
    host, port = split(address_of(role))
    spinners = role.tree()[1:]
    with socket.create_connection((host, port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1)
        until(lambda: any(sum(one.cpu_times()[:2]) > 0.3 for one in spinners), "burning")
        os.kill(role.process.pid, signal.SIGKILL)
    role.end()
    _, alive = psutil.wait_procs(spinners, timeout=20)
    assert not alive
    assert len(spinners) == 2


def test_a_spinner_that_dies_ends_the_role() -> None:
    role = Role("app", app_settings(fleet_of({"cpu": {"constant": "1ms"}}, cores=1), demand="burn"))
    address_of(role)
    for spinner in role.tree()[1:]:
        spinner.kill()
    assert role.process.wait(20) == 1
    role.end()
    assert any("processes that burn CPU" in line for line in role.log)


def test_settings_that_cannot_be_are_named() -> None:
    role = Role("app", app_settings(fleet_of(), role="king"))
    assert role.process.wait(20) == 1
    role.join()
    assert "expected one of the roles serving, canary, standby, got 'king'" in "".join(role.log)
