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
from windtunnel.core.model import VersionSpec

from ..redis_fixture import RedisServer
from .running import DEADLINE, SECOND, Role, app_settings, ask, ask_together, fleet_of, running, until

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


def test_workers_and_the_queue_over_http() -> None:
    fleet = fleet_of({"cpu": {"constant": "900ms"}}, workers=1, queue=1)
    with running("app", app_settings(fleet)) as role:
        answers = sorted(ask_together(address_of(role), 3), key=lambda answer: answer.status)
        assert [answer.status for answer in answers] == [200, 200, 503]
        refused = answers.pop()
        assert refused.headers["windtunnel-cause"] == "queue_full"
        assert refused.headers["windtunnel-app"].endswith("-x-x-x")
        assert int(refused.headers["retry-after"]) > 0
        assert refused.seconds < min(answer.seconds for answer in answers)
        first, second = sorted(read_numbers(answer.headers["windtunnel-app"], 4) or () for answer in answers)
        assert first[3] - first[1] >= 899_000_000
        assert second[1] >= first[3]


def test_health_takes_no_worker_and_a_client_that_leaves_ends_no_work() -> None:
    fleet = fleet_of({"cpu": {"constant": "1500ms"}}, workers=1)
    with running("app", app_settings(fleet)) as role:
        address = address_of(role)
        with socket.create_connection(split(address)) as gone:
            gone.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nwindtunnel-request: 0-0-1\r\n\r\n")
            time.sleep(0.1)
        assert ask(address, "/health").status == 200
        # Who comes after this answer still has to wait for the worker.
        behind = read_numbers(ask(address, "/nowhere", planned="0-1-1").headers["windtunnel-app"], 4)
        assert behind is not None
        assert behind[1] - behind[0] > 100_000_000


def test_registration_samples_and_commands(redis_server: RedisServer) -> None:
    fleet = fleet_of(
        {"cpu": {"constant": "100ms"}}, workers=4, cores=2, memory={"total": "400MiB", "base": "200MiB"}
    )
    settings = app_settings(fleet, redis_server.url, role="standby")
    registry = RedisRegistry(redis_server.client)
    with running("app", settings) as role:
        address = address_of(role)
        assert role.wait("up")["number"] == 7
        assert registry.servers().standby == (address,)
        times = [
            read_numbers(ask(address, planned=f"0-{index}-1").headers["windtunnel-app"], 4) or ()
            for index in range(5)
        ]
        role.wait("second", len(role.said("second")) + 2)
        assert sum(line["requests"] for line in role.said("second")) == 5
        # What it says it has used is how long the requests really were on its cores.
        on_cores = sum(cpu_done - started for _, started, cpu_done, _ in times)
        assert 5 * 99_000_000 < sum(line["cpu_ns"] for line in role.said("second")) <= on_cores
        # A beat that was missed is left out: none comes twice.
        seconds = [line["t"] // SECOND for line in role.said("second")]
        assert seconds == sorted(set(seconds))
        assert {line["memory"] for line in role.said("second")} == {200 * MIB}
        sample = until(lambda: registry.read_samples([address]).get(address), "a sample")
        assert (sample.version, sample.state, sample.in_flight) == ("1", "standby", 0)
        assert sample.memory == pytest.approx(0.5, abs=0.05)
        assert role.lines[0]["t"] < sample.time < role.now()
        role.send("promote")
        until(lambda: registry.read_samples([address])[address].state == "serving", "promoted")
        role.send("drain")
        until(lambda: registry.read_samples([address])[address].state == "draining", "draining")
        assert registry.servers().standby == (address,)
    assert role.process.returncode == 0
    assert registry.servers().standby == ()


def test_a_stop_lets_requests_end(redis_server: RedisServer) -> None:
    settings = app_settings(fleet_of({"cpu": {"constant": "2500ms"}}), redis_server.url)
    with running("app", settings) as role:
        with socket.create_connection(split(address_of(role)), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nwindtunnel-request: 0-0-1\r\n\r\n")
            until(lambda: role.said("second") and role.said("second")[-1]["in_flight"], "a request under way")
            role.process.send_signal(signal.SIGTERM)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert role.end() == 0


def test_nobody_listens_before_the_machine_has_booted() -> None:
    settings = app_settings(fleet_of()).model_copy(update={"ready_at": 2 * SECOND})
    refused = 0
    with running("app", settings) as role:
        while not role.said("up"):
            try:
                socket.create_connection((settings.host, settings.port)).close()
                assert role.now() >= 2 * SECOND
            except ConnectionRefusedError:
                refused += 1
            time.sleep(0.02)
        assert role.wait("up")["t"] >= 2 * SECOND
        assert ask(address_of(role)).status == 200
    assert refused
    with running("app", app_settings(fleet_of(), ready_at=10**15)) as late:
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
        role.wait("second", count + 2)
        assert registry.servers().serving == ()


def test_out_of_memory_kills(redis_server: RedisServer) -> None:
    memory = {"total": "210MiB", "base": "150MiB", "per_request": "40MiB"}
    fleet = fleet_of({"cpu": {"constant": "20s"}}, workers=4, memory=memory)
    with running("app", app_settings(fleet, redis_server.url)) as role:
        host, port = split(address_of(role))
        process = psutil.Process(role.process.pid)
        with socket.create_connection((host, port)) as one, socket.create_connection((host, port)) as two:
            one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: abs(process.memory_info().rss - 190 * MIB) < 12 * MIB, "memory really held")
            two.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert role.process.wait(DEADLINE) == -signal.SIGKILL
    deaths = [line for line in role.lines if line.get("event") == "out_of_memory"]
    assert [(line["server"], line["memory"], line["lost"]) for line in deaths] == [(7, 230 * MIB, 2)]
    assert len(RedisRegistry(redis_server.client).servers().serving) == 1


def test_a_version_is_told_and_crashes_when_it_is_due(redis_server: RedisServer) -> None:
    versions = (VersionSpec("1"), VersionSpec("2024-11", crash_after=2 * SECOND))
    fleet = dataclasses.replace(fleet_of({"cpu": {"constant": "60s"}}), versions=versions)
    registry = RedisRegistry(redis_server.client)
    with running("app", app_settings(fleet, redis_server.url, version=1)) as role:
        address = address_of(role)
        with socket.create_connection(split(address)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert role.process.wait(DEADLINE) == -signal.SIGKILL
    crashes = [line for line in role.lines if line.get("event") == "crashed"]
    assert [(line["server"], line["lost"]) for line in crashes] == [(7, 1)]
    assert registry.servers().serving == (address,)
    assert registry.read_samples([address])[address].version == "2024-11"


def test_memory_is_given_back() -> None:
    fleet = fleet_of({"cpu": {"constant": "1500ms"}}, memory={"base": "100MiB", "per_request": "100MiB"})
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
    with running("app", app_settings(fleet, demand="burn")) as role:
        address = address_of(role)
        spinners = [one for one in role.tree() if any("spinner" in word for word in one.cmdline())]
        assert len(spinners) == 1
        before = sum(spinners[0].cpu_times()[:2])
        answers = ask_together(address, 6)
        burnt = sum(spinners[0].cpu_times()[:2]) - before
        assert 0.85 < burnt < 1.5
        times = sorted(read_numbers(answer.headers["windtunnel-app"], 4) or () for answer in answers)
        # First come first served, on one core.
        assert [one[2] for one in times] == sorted(one[2] for one in times)
        assert all(b[2] - a[2] > 140_000_000 for a, b in pairwise(times))
        until(lambda: sum(line["cpu_ns"] for line in role.said("second")) > 880_000_000, "counted")
        os.kill(role.process.pid, signal.SIGKILL)
        assert not psutil.wait_procs(spinners, timeout=DEADLINE)[1]


def test_a_spinner_in_the_midst_of_its_work_ends_with_the_role() -> None:
    fleet = fleet_of({"cpu": {"constant": "60s"}}, workers=2, cores=2)
    with running("app", app_settings(fleet, demand="burn")) as role:
        host, port = split(address_of(role))
        spinners = role.tree()[1:]
        with socket.create_connection((host, port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda: any(sum(one.cpu_times()[:2]) > 0.3 for one in spinners), "burning")
            os.kill(role.process.pid, signal.SIGKILL)
        assert not psutil.wait_procs(spinners, timeout=DEADLINE)[1]
        assert len(spinners) == 2


def test_a_spinner_that_dies_ends_the_role() -> None:
    settings = app_settings(fleet_of({"cpu": {"constant": "1ms"}}, cores=1), demand="burn")
    with running("app", settings) as role:
        address_of(role)
        for spinner in role.tree()[1:]:
            spinner.kill()
        assert role.process.wait(DEADLINE) == 1
    assert any("processes that burn CPU" in line for line in role.log)


def test_settings_that_cannot_be_are_named() -> None:
    with running("app", app_settings(fleet_of(), role="king")) as role:
        assert role.process.wait(DEADLINE) == 1
    assert "expected one of the roles serving, canary, standby, got 'king'" in "".join(role.log)
