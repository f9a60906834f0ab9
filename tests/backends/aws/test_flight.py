"""A flight on EC2, rehearsed at home: a moto server over HTTP, whose instances are real app servers on this machine. Nothing is left, there or here."""

import itertools
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from windtunnel import Run, Scenario
from windtunnel.backends.aws.flight import TAG_FLEET, TAG_NUMBER, TAG_ROLE, TAG_RUN, tags_of
from windtunnel.backends.aws.world import AwsFlight
from windtunnel.backends.local.options import FlightOptions
from windtunnel.core.errors import UsageError
from windtunnel.scenarios.build import compile_plan
from windtunnel.tests.backends.aws.conftest import KEY_ID, SECRET, TOKEN
from windtunnel.tests.backends.aws.flying import backends

FLYING = Path(__file__).with_name("flying.py")
PATIENCE = 120.0

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="each instance has a loopback address of its own"
)

SCENARIO = """
scenario: {name}
seed: 3
duration: 12s
fleet:
  app: {{initial: 1, min: 1, max: 2, workers: 8, cores: 2, queue: 64, boot_time: {{constant: 300ms}}}}
  cloud:
    aws:
      region: us-east-1
      image: ami-12345678
      instance_type: t3.micro
      key_name: operators
      user_data: "start {{registry}} {{number}}"
      endpoint_url: "{url}"
endpoints:
  - {{path: /, cpu: {{constant: 4ms}}}}
traffic:
  - {{name: users, stages: [{{for: 6s, rate: 80/s}}, {{for: 6s, rate: 8/s}}], client: {{timeout: 20s}}}}
autoscaler: {{policy: {{threshold: {{requests_high: 50/s, requests_low: 10/s}}}}, interval: 1s, cooldown: 1s}}
"""

_names = itertools.count()


def scenario(url: str) -> tuple[str, str]:
    """A fleet of its own: its name and the text."""
    name = f"fly-{os.getpid()}-{next(_names)}"
    return name, SCENARIO.format(name=name, url=url)


def start(folder: Path, text: str, *more: str, **environment: str) -> subprocess.Popen[str]:
    (folder / "s.yaml").write_text(text)
    command = [sys.executable, str(FLYING), "replay", "s.yaml", "--backend", "aws", "--out", "run", *more]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def instances(ec2: Any, fleet: str, *states: str) -> list[dict[str, Any]]:
    """Those of a fleet as EC2 has them, by launch; *states*: only those."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": f"tag:{TAG_FLEET}", "Values": [fleet]}]
    )
    found = [item for page in pages for one in page["Reservations"] for item in one["Instances"]]
    return [item for item in found if not states or item["State"]["Name"] in states]


@dataclass
class Flown:
    """A flight that is over."""

    name: str
    run: Run
    out: str
    err: str
    folder: Path
    items: list[dict[str, Any]]


def test_a_flight_scales_out_and_in_on_ec2(moto_url: str, tmp_path: Path, ec2: Any) -> None:
    """One flight, looked at from all sides."""
    name, text = scenario(moto_url)
    flight = start(tmp_path, text, "--max-hours", "1", "--no-figure")
    out, err = flight.communicate(timeout=PATIENCE)
    assert flight.returncode == 0, err
    flown = Flown(name, Run.open(tmp_path / "run"), out, err, tmp_path, instances(ec2, name))
    check_that_scaling_out_adds_a_server_that_answers(flown)
    check_the_events(flown)
    check_tags_and_that_instances_are_ended(flown)
    check_that_nobody_listens(flown)
    check_that_credentials_are_nowhere(flown)


def check_that_scaling_out_adds_a_server_that_answers(flown: Flown) -> None:
    run = flown.run
    assert run.summary["outcomes"] == {"ok": run.summary["planned"]}
    assert run.summary["planned"] > 350
    assert set(run.attempts["server"].to_pylist()) == {1, 2}
    assert {row["server"] for row in run.metrics.to_pylist() if row["requests"]} == {0, 1, 2}


def check_the_events(flown: Flown) -> None:
    told = [
        (event["event"], event.get("reason"), event.get("server"))
        for event in flown.run.events
        if event.get("reason") not in ("at maximum", "within")
    ]
    assert told == [
        ("run", None, None), ("launched", None, 1), ("ready", None, 1), ("decision", "requests_high", None),
        ("launched", None, 2), ("booting", None, 2), ("ready", None, 2), ("decision", "idle", None),
        ("draining", None, 2), ("terminated", "drained", 2), ("end", None, None),
    ]  # fmt: skip
    times = [event["t"] for event in flown.run.events]
    assert times == sorted(times)
    (ended,) = [event for event in flown.run.events if event["event"] == "terminated"]
    assert ended["lost"] == 0
    (begun,) = [e for e in flown.run.events if e["event"] == "launched" and e["server"] == 2]
    (up,) = [e for e in flown.run.events if e["event"] == "ready" and e["server"] == 2]
    assert begun["role"] == up["role"] == "serving"
    assert up["t"] - begun["t"] >= 300_000_000, "it boots as long as the scenario says"


def check_tags_and_that_instances_are_ended(flown: Flown) -> None:
    assert [item["State"]["Name"] for item in flown.items] == ["terminated", "terminated"]
    tags = [tags_of(item) for item in flown.items]
    assert {(one[TAG_FLEET], one[TAG_NUMBER], one[TAG_ROLE]) for one in tags} == {
        (flown.name, "1", "serving"), (flown.name, "2", "serving"),
    }  # fmt: skip
    (run,) = {one[TAG_RUN] for one in tags}
    assert {item["KeyName"] for item in flown.items} == {"operators"}
    lines = flown.err.splitlines()
    assert lines[0].startswith(
        f"run {run}; if it is lost, end what it left by: windtunnel janitor --fleet {flown.name} "
    )
    (first,) = [item["InstanceId"] for item in flown.items if tags_of(item)[TAG_NUMBER] == "1"]
    assert f"ended 1 instance of run {run}: {first}" in lines


def check_that_nobody_listens(flown: Flown) -> None:
    servers = next(line for line in flown.err.splitlines() if line.startswith("servers "))
    proxy = next(line for line in flown.err.splitlines() if line.startswith("proxy "))
    for line in (servers, proxy):
        host, port = line.split()[1].removeprefix("http://").split(":")
        with socket.socket() as probe:
            assert probe.connect_ex((host, int(port))) != 0, "somebody still listens there"


def check_that_credentials_are_nowhere(flown: Flown) -> None:
    files = [path for path in flown.folder.rglob("*") if path.is_file()]
    assert any(path.name == "autoscaler.log" for path in files)
    texts = [flown.out, flown.err, *(path.read_bytes().decode("latin-1") for path in files)]
    for secret in (KEY_ID, SECRET, TOKEN):
        assert not [text for text in texts if secret in text]


@pytest.mark.parametrize("sent", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
def test_an_interrupted_flight_leaves_what_the_janitor_ends(
    tmp_path: Path, moto_url: str, ec2: Any, sent: signal.Signals
) -> None:
    """Ctrl-C leaves nothing; after kill -9 no process is left here, and the command that was told at the start ends the instances."""
    name, text = scenario(moto_url)
    flight = start(tmp_path, text.replace("for: 6s", "for: 60s").replace("12s", "66s"))
    assert flight.stderr is not None
    hint = flight.stderr.readline()
    assert flight.stderr.readline().startswith("proxy ")
    family = psutil.Process(flight.pid).children(recursive=True)
    assert len(family) >= 5, "Redis, app server, proxy, load generator, autoscaler"
    assert len(instances(ec2, name, "running")) >= 1
    flight.send_signal(sent)
    _, message = flight.communicate(timeout=PATIENCE)
    assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
    if sent == signal.SIGINT:
        assert flight.returncode == 130
        assert "what was recorded until then is in run" in message
    else:
        assert instances(ec2, name, "running")
        command = shlex.split(hint.partition("by: ")[2])
        assert command[0] == "windtunnel"
        janitor = subprocess.run([sys.executable, str(FLYING), *command[1:]], timeout=PATIENCE)
        assert janitor.returncode == 0
    assert not instances(ec2, name, "pending", "running", "stopping", "stopped")


FAULTS = """
faults:
  - {name: no-capacity, type: capacity_error, while: at_minimum, for: 6500ms}
  - {name: slow-boots, type: slow_boot, at: 0s, for: 14s, attributes: {factor: 5}}
  - {name: far, type: latency, at: 1s, for: 3s, target: {count: all}, attributes: {latency: 60ms}}
  - {name: proxy-cut-off, type: partition, at: 5s, target: {role: proxy}, attributes: {from: registry}}
  - {name: throttled, type: api_throttling, at: 15s, attributes: {rate: 1/h, burst: 1}}
"""


@pytest.mark.long
def test_faults_of_the_cloud_and_of_links_fly_on_ec2(moto_url: str, tmp_path: Path, ec2: Any) -> None:
    """The cloud's refuse in the autoscaler's process, which launches there by itself; the others are as at home."""
    name, text = scenario(moto_url)
    text = text.replace("for: 6s, rate: 80/s", "for: 12s, rate: 80/s").replace("12s\n", "18s\n")
    flight = start(tmp_path, text + FAULTS, "--max-hours", "1", "--no-figure")
    _, err = flight.communicate(timeout=PATIENCE)
    assert flight.returncode == 0, err
    run = Run.open(tmp_path / "run")
    events = [event for event in run.events if event["event"] != "decision"]
    refused = [event for event in events if event["event"] == "launch_refused"]
    assert {event["code"] for event in refused} == {"InsufficientInstanceCapacity"}
    over = next(e["t"] for e in events if e["event"] == "fault_over" and e["name"] == "no-capacity#1")
    begun = next(e["t"] for e in events if e["event"] == "launched" and e["server"] > 1)
    assert refused[-1]["t"] < over < begun
    up = next(e["t"] for e in events if e["event"] == "ready" and e["server"] > 1)
    assert up - begun >= 1_500_000_000, "it boots five times as long"
    assert "registry_unreachable" in [event["event"] for event in events]
    begun, ended = (e["t"] for e in events if e.get("name") == "far")
    rows = run.requests.to_pylist()
    far = [row["latency_ns"] for row in rows if begun + 3e8 < row["time_ns"] < ended - 3e8]
    assert min(far, default=1 << 62) >= 120_000_000
    assert not instances(ec2, name, "pending", "running", "stopping", "stopped")


def test_a_missing_field_is_one_sentence(tmp_path: Path, moto_url: str) -> None:
    _, text = scenario(moto_url)
    flight = start(tmp_path, text.replace("      image: ami-12345678\n", ""))
    out, err = flight.communicate(timeout=PATIENCE)
    assert flight.returncode == 2
    assert out == ""
    assert err == (
        "s.yaml: fleet.cloud.aws.image: expected an image such as ami-0abcdef1234567890 for --backend aws, got nothing\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_every_call_and_makes_none(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        _, text = scenario(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        flight = start(tmp_path, text, "--dry-run", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        out, err = flight.communicate(timeout=240)
    assert flight.returncode == 0, err
    calls = [line.split(maxsplit=4) for line in out.splitlines() if " ec2." in line]
    made = [(float(call[0]), call[2]) for call in calls if call[2] != "ec2.DescribeInstances"]
    assert [name for _, name in made] == [
        "ec2.RunInstances", "ec2.RunInstances", "ec2.TerminateInstances", "ec2.TerminateInstances",
    ]  # fmt: skip
    times = [moment for moment, _ in made]
    assert times[0] == 0 < times[1] < times[2] < times[3]
    launch = next(line for line in out.splitlines() if "RunInstances" in line)
    assert json.loads(launch[launch.index("{") :])["ImageId"] == "ami-12345678"
    assert not (tmp_path / "run").exists()


KILL = "faults: [{name: dies, type: kill, at: 1s, target: {role: app, count: 1}}]\n"


@pytest.mark.parametrize(
    ("at_home", "more", "given", "said"),
    [
        (False, "", {}, "--redis-url: expected a registry that instances on EC2 can reach, got nothing"),
        (False, "", {"redis_url": "redis://127.0.0.1:6379"}, "--redis-url: expected a registry that"),
        (
            False,
            KILL,
            {"redis_url": "redis://10.0.0.9"},
            "fault dies: kill of app cannot be flown with app servers on EC2",
        ),
        (
            False,
            "",
            {"redis_url": "redis://10.0.0.9", "demand": "burn"},
            "--demand burn: on EC2 the user data",
        ),
        (True, "", {"proxy": "http://127.0.0.1:1"}, "--proxy: expected --backend attach"),
        (True, "", {"max_instances": 0}, "--max-instances: expected at least 1"),
        (True, "", {"max_hours": 0.0}, "--max-hours: expected more than 0"),
    ],
)
def test_what_cannot_be_flown_is_said_before_anything_starts(
    moto_url: str, at_home: bool, more: str, given: dict[str, Any], said: str
) -> None:
    _, text = scenario(moto_url)
    if not at_home:
        text = text.replace(f'      endpoint_url: "{moto_url}"\n', "")
    loaded = Scenario.parse(text + more)
    with pytest.raises(UsageError, match=said):
        AwsFlight(flight=FlightOptions(**given)).check(compile_plan(loaded), loaded)


def test_the_backend_is_named_in_the_project() -> None:
    assert backends()["aws"].load() is AwsFlight
