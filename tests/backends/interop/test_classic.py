"""Beside programs of the classic design, written in another language and with nothing of ours: their app servers behind our proxy, their proxy before our app servers."""

import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Scenario, replay
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import ProxySettings
from windtunnel.backends.local.options import Figures, FlightOptions
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.autoscaler import Autoscaler
from windtunnel.core.model import SECOND
from windtunnel.core.ports import Sample, Servers
from windtunnel.scenarios.build import compile_plan

from ..app.running import Role, app_settings, ask, running, until
from ..redis_fixture import RedisServer, free_port
from .node import node_executable

FOLDER = Path(__file__).parent

FILE = """
scenario: classic
seed: 6
duration: 4s
fleet:
  app: {initial: 2, min: 1, max: 9, workers: 8}
  registry: {refresh_interval: 200ms}
endpoints:
  - {path: /, cpu: {constant: 2ms}, response_size: 100B}
traffic:
  - {name: users, stages: [{for: 4s, rate: 60/s}], client: {timeout: 10s, connections: {pool: 10}}}
autoscaler: {policy: {threshold: {requests_high: 10/s}}, interval: 1s, cooldown: 2s}
slo: [{name: answered, indicator: availability, above: 99.9%}]
"""


@contextmanager
def program(script: str, *words: object) -> Iterator[None]:
    """A script of this folder in node, up and listening."""
    process = subprocess.Popen(
        [node_executable(), str(FOLDER / script), *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield
        assert process.poll() is None, f"{script} ended by itself with status {process.returncode}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def foreign(redis_server: RedisServer) -> Iterator[dict[str, str]]:
    """Two app servers of the classic design: the address of each, by how it writes its load."""
    with ExitStack() as stack:
        addresses = {}
        for style in ("hash", "string"):
            port = free_port()
            stack.enter_context(program("app_server.js", port, redis_server.port, style))
            addresses[style] = f"http://127.0.0.1:{port}"
        yield addresses


def test_their_app_servers_behind_our_proxy_are_routed_to_and_watched(
    foreign: dict[str, str], redis_server: RedisServer
) -> None:
    spec = compile_plan(Scenario.parse(FILE)).fleet
    settings = ProxySettings(
        origin=LiveClock.begin().origin, fleet=spec, redis_url=redis_server.url, admin_port=0
    )
    with running("proxy", settings) as proxy:
        up = proxy.wait("up")
        until(lambda: ask(up["address"]).body == b"hello from node\n", "a proxy that knows its servers")
        options = FlightOptions(proxy=up["address"], redis_url=redis_server.url)
        run = replay(Scenario.parse(FILE), backend="attach", flight=options)
        counts = {address: server["requests"] for address, server in ask_json(up["admin"]).items()}
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    # Twice in the list is once in the table: both get the same share.
    assert set(counts) == set(foreign.values())
    assert min(counts.values()) > 0.45 * sum(counts.values())
    # Both ways of writing a load are in the metrics, and the policy has gone by them.
    ready = {event["address"]: event["server"] for event in run.events if event["event"] == "ready"}
    assert set(ready) == set(foreign.values())
    for address in foreign.values():
        seen = [row["requests"] for row in run.metrics.to_pylist() if row["server"] == ready[address]]
        assert max(seen) >= 15, address
    decision = next(event for event in run.events if event["event"] == "decision")
    assert (decision["reason"], decision["actual"]) == ("requests_high", 2)
    assert sorted(redis_server.client.lrange("serving_servers", 0, -1)) == sorted([*foreign.values()] * 2)


def ask_json(admin: str) -> dict[str, Any]:
    """What the proxy's control API says of its servers."""
    found: dict[str, Any] = json.loads(ask(admin, "/servers").body)
    return found


def test_what_says_no_times_is_trusted_or_unknown(foreign: dict[str, str], redis_server: RedisServer) -> None:
    registry = RedisRegistry(redis_server.client)
    addresses = tuple(sorted(foreign.values()))
    assert registry.servers() == Servers(serving=addresses)

    def loads() -> dict[str, Sample]:
        """A sample of each, if both have had requests in the seconds of which they tell."""
        for address in addresses:
            ask(address)
        found = registry.read_samples(addresses)
        return found if len(found) == 2 and all(one.requests > 0 for one in found.values()) else {}

    samples: dict[str, Sample] = until(loads, "loads of both")
    assert {(sample.time, sample.memory) for sample in samples.values()} == {(None, 0.25)}
    reasons = {}
    for given in ("", ", foreign: trust", ", foreign: unknown"):
        text = FILE.replace("10/s}}, interval: 1s, cooldown: 2s", "0.5/s}}" + given)
        spec = compile_plan(Scenario.parse(text)).fleet.autoscaler
        assert spec is not None
        reasons[given] = Autoscaler(spec).tick(10**18, registry.servers(), samples).reason
    assert reasons == {
        "": "requests_high",
        ", foreign: trust": "requests_high",
        ", foreign: unknown": "unknown",
    }


@pytest.mark.long
def test_their_proxy_before_our_app_servers_rotates_the_list_and_loses_nothing(
    redis_server: RedisServer,
) -> None:
    spec = compile_plan(Scenario.parse(FILE)).fleet
    origin = LiveClock.begin().origin
    registry = RedisRegistry(redis_server.client)
    with ExitStack() as stack:
        roles = [
            stack.enter_context(
                running("app", app_settings(spec, redis_server.url, origin=origin, number=number))
            )
            for number in (1, 2)
        ]
        first, second = (role.wait("up")["address"] for role in roles)
        port = free_port()
        stack.enter_context(program("proxy.js", port, redis_server.port))
        looks: list[Servers] = []
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(0.01):
                looks.append(registry.servers())

        reader = threading.Thread(target=look)

        def drain(figures: Figures) -> None:
            """In the midst of it a server is taken out of the list that the proxy turns."""
            if figures.now == 2 * SECOND:
                registry.deregister(first)

        reader.start()
        try:
            options = FlightOptions(proxy=f"http://127.0.0.1:{port}", redis_url=redis_server.url, watch=drain)
            run = replay(Scenario.parse(FILE), backend="attach", flight=options)
        finally:
            ended.set()
            reader.join()

        def served_by(role: Role) -> int:
            return sum(line["requests"] for line in role.said("second"))

        until(lambda: sum(map(served_by, roles)) >= run.summary["planned"], "every request counted")
        served = [served_by(role) for role in roles]
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    # However it turns, readers see one list: all of it, and then what is left.
    both = tuple(sorted((first, second)))
    assert [set(look.serving) for look in looks if look.serving not in (both, (second,))] == []
    changes = [one.serving for one, other in itertools.pairwise(looks) if one != other]
    assert changes == [both]
    assert 0 < served[0] < served[1]
    names = [event["event"] for event in run.events]
    assert (names.count("ready"), names.count("unlisted")) == (2, 1)
    assert "registry_unreachable" not in names
