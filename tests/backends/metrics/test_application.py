"""What an application says of itself, by each way, ends in the registry, in its sidecar's metrics and in the conductor's seconds."""

import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from windtunnel.app_metrics import ADDRESS, record_metric
from windtunnel.backends.metrics.limits import BadMetric
from windtunnel.backends.registry import RedisRegistry

from ..app.running import app_settings, fleet_of, running, until
from ..app.test_sidecar import proxy
from ..redis_fixture import RedisServer
from .scraping import labelled, one, scrape

_ = proxy

PROGRAM = """
import http.server, os, socket, sys, threading, time
from windtunnel import record_metric
heavy = [name for name in ("numpy", "pydantic", "pyarrow") if name in sys.modules]
host, port = os.environ["STATSD_HOST"], int(os.environ["STATSD_PORT"])
def work():
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        assert record_metric("depth", -3)
        assert record_metric("took", 20, kind="timer")
        assert record_metric("imports", len(heavy))
        client.sendto(b"jobs:5|c|@0.5|#tag:1", (host, port))
        client.sendto(b"what is this", (host, port))
        time.sleep(0.1)
threading.Thread(target=work, daemon=True).start()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def test_lines_the_sdk_and_headers(
    tmp_path: Path, redis_server: RedisServer, proxy: tuple[str, dict[str, object]]
) -> None:
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    url, servers = proxy
    command = (sys.executable, str(script), "{host}", "{port}")
    fleet = fleet_of(command=list(command), metrics={"depth": {}})
    settings = app_settings(fleet, redis_server.url, command=command, proxy_admin=url, metrics_port=0)
    with running("app", settings) as role:
        up = role.wait("up")
        address = up["address"]
        servers[address] = {"requests": 3, "in_flight": 1, "metrics": {"told": 0.25, "cpu": 9}}
        registry = RedisRegistry(redis_server.client)

        def complete() -> dict[str, float]:
            sample = registry.read_samples([address]).get(address)
            custom = dict(sample.custom) if sample is not None else {}
            return custom if {"told", "depth"} <= custom.keys() and custom.get("jobs") else {}

        custom = until(complete, "all of them are in the registry")
        assert custom.pop("jobs") % 10 == 0, "values are divided by their sample rate"
        assert custom == {"depth": -3, "took": 20, "took_p99": 20, "imports": 0, "told": 0.25}
        found = scrape(up["metrics"])
        assert labelled(found, "windtunnel_custom_metric", "metric") == custom | {
            "jobs": labelled(found, "windtunnel_custom_metric", "metric")["jobs"]
        }
        assert one(found, "windtunnel_custom_lines_bad_total") > 0
        assert one(found, "windtunnel_app_request_load") in (0, 3)
        assert one(found, "windtunnel_app_requests_in_flight") == 1
        assert one(found, "windtunnel_app_memory_bytes") > 1e6
        assert one(found, "windtunnel_registry_call_duration_seconds_count") > 0
        assert role.said("second")[-1]["custom"]["depth"] == -3
        assert role.end() == 0
    assert sum("what is this" in line for line in role.log) == 1, "a bad line is named once"


def test_without_a_sidecar_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    assert not record_metric("depth", 3)
    for name, value, kind in (("", 1.0, "gauge"), ("memory", 1.0, "gauge"), ("depth", float("nan"), "gauge"), ("depth", -1.0, "timer"), ("depth", 1.0, "set")):  # fmt: skip
        with pytest.raises(BadMetric, match="expected"):
            record_metric(name, value, kind)


def test_nobody_listens_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        monkeypatch.setenv(ADDRESS, "{}:{}".format(*gone.getsockname()))
    begun = time.monotonic()
    assert all(record_metric("depth", number) for number in range(1000))
    assert time.monotonic() - begun < 10
    monkeypatch.setenv(ADDRESS, "nowhere")
    with pytest.raises(BadMetric, match="HOST:PORT"):
        record_metric("depth", 1)


def test_the_sdk_is_light() -> None:
    code = "import sys; from windtunnel import record_metric; sys.exit(any(n in sys.modules for n in ('numpy', 'pydantic', 'redis', 'prometheus_client', 'asyncio')))"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}, timeout=60).returncode == 0
