"""Where a flight's roles tell their metrics, and what all of them tell together; in full length only."""

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from windtunnel import Run, Scenario, replay
from windtunnel.backends.local.options import FlightOptions
from windtunnel.backends.local.process import RoleProcess
from windtunnel.backends.local.targets import Targets
from windtunnel.core.records import EVENT_LOOP_LAG, REGISTRY_LATENCY

from .scraping import Values, labelled, one, scrape

FLOWN = """
scenario: watched
seed: 3
duration: 6s
fleet:
  app: {initial: 2, max: 2, workers: 4, cores: 2, metrics: {files: {base: 40, per_in_flight: 3}, jobs: {}}}
  proxy: {upstream_timeout: 20s}
autoscaler: {interval: 1s, policy: {threshold: {requests_high: 1000/s}}}
endpoints:
  - {path: /, cpu: {constant: 2ms}}
traffic:
  - {name: users, stages: [{for: 5s, rate: 60/s}, {for: 1s, rate: 0/s}], client: {timeout: 10s, connections: {pool: 20}}}
"""


def up(label: str, **line: Any) -> RoleProcess:
    process = RoleProcess(label.split("-")[0], label, lambda process, line: None)
    process.up = {"status": "up", **line}
    return process


def test_the_list_is_what_prometheus_expects() -> None:
    targets = Targets()
    for process in (
        up("proxy", metrics="http://127.0.0.1:4/metrics"), up("app-12", metrics="http://127.1.0.12:80/metrics"), up("redis"),
    ):  # fmt: skip
        targets.heard(process, process.up)
    targets.heard(up("late", metrics="http://127.0.0.1:5/metrics"), {"status": "second"})
    assert json.loads(json.dumps(targets.listed())) == [
        {"targets": ["127.1.0.12:80"], "labels": {"role": "app", "process": "app-12", "server": "12"}},
        {"targets": ["127.0.0.1:4"], "labels": {"role": "proxy", "process": "proxy"}},
    ]
    again = up("proxy", metrics="http://127.0.0.1:6/metrics")
    targets.heard(again, again.up)
    assert targets.listed()[1]["targets"] == ["127.0.0.1:6"], "whoever comes in a role's place takes its"


@pytest.mark.long
def test_a_flight_is_scraped(tmp_path: Path) -> None:
    found: dict[str, Values] = {}
    done = threading.Event()

    def watch(control: str) -> None:
        """Scrape everything again and again; the last of it is kept."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not done.is_set():
            try:
                with opener.open(f"{control}/v1/targets", timeout=20) as answer:
                    assert answer.headers["Content-Type"].startswith("application/json")
                    groups = json.load(answer)
                for group in groups:
                    found[group["labels"]["process"]] = scrape(f"http://{group['targets'][0]}/metrics")
            except OSError:
                return
            time.sleep(0.3)

    watchers: list[threading.Thread] = []

    def announce(told: Any) -> None:
        watchers.append(threading.Thread(target=watch, args=(told["control"],)))
        watchers[0].start()

    try:
        run = replay(
            Scenario.parse(FLOWN), backend="local", out=tmp_path / "run", figure=False,
            flight=FlightOptions(announce=announce),
        )  # fmt: skip
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()
    assert set(found) == {"proxy", "app-1", "app-2", "autoscaler", "load"}
    planned = run.requests.num_rows
    proxy, load = found["proxy"], found["load"]
    # The plan's last second has no requests, so that what was scraped in it is all of them.
    assert one(proxy, "windtunnel_proxy_requests_total") == planned
    assert one(proxy, "windtunnel_proxy_responses_total", status_class="2xx") == planned
    assert one(proxy, "windtunnel_proxy_requests_unanswered_total") == 0
    assert one(load, "windtunnel_load_requests_offered_total") == planned
    assert one(load, "windtunnel_load_request_duration_seconds_count") == planned
    sent = labelled(proxy, "windtunnel_proxy_server_requests_total", "server")
    assert sorted(sent) == ["1", "2"]
    assert sum(sent.values()) == planned
    for number in (1, 2):
        app = found[f"app-{number}"]
        assert one(app, "windtunnel_app_responses_total", status_class="2xx") == sent[str(number)]
        assert one(app, "windtunnel_app_request_duration_seconds_count") == sent[str(number)]
        assert one(app, "windtunnel_app_workers") == 4
        assert labelled(app, "windtunnel_custom_metric", "metric")["files"] >= 40
    scaler = found["autoscaler"]
    assert one(scaler, "windtunnel_autoscaler_turns_total", result="decided") >= 3
    assert one(scaler, "windtunnel_autoscaler_servers_desired") == 2
    assert all(
        0 <= age < 30
        for age in labelled(scaler, "windtunnel_autoscaler_sample_age_seconds", "server").values()
    )
    for role in ("proxy", "autoscaler", "app-1"):
        assert one(found[role], "windtunnel_registry_call_duration_seconds_count") > 0
    assert one(proxy, "windtunnel_proxy_event_loop_lag_seconds_count") > 20
    check_measurements(Run.open(tmp_path / "run"))


def check_measurements(run: Run) -> None:
    rows = run.measurements.to_pylist()
    named = {(row["server"], row["name"]) for row in rows}
    assert named == {(0, EVENT_LOOP_LAG), (0, REGISTRY_LATENCY), (1, "files"), (2, "files")}
    assert all(row["value"] >= (40 if row["name"] == "files" else 0) for row in rows)
    assert [row["time_ns"] for row in rows] == sorted(row["time_ns"] for row in rows)
