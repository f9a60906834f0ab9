"""The role as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from windtunnel.backends.live.clock import LiveClock
from windtunnel.backends.live.settings import LoadSettings
from windtunnel.core.model import SECOND
from windtunnel.scenarios.build import compile_plan
from windtunnel.scenarios.scenario import Scenario
from windtunnel.tests.backends.load.process import fly
from windtunnel.tests.backends.load.support import SILENCE, document, serving, steady


def test_a_whole_flight_of_the_generator(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        yaml.safe_dump(document(steady("300/s", client={"connections": {"pool": 8}, "timeout": "5s"})))
    )
    with serving() as server:
        flown = fly(path, server.port)
    assert flown.code == 0, flown.errors
    assert flown.errors == ""
    assert next(line["status"] for line in flown.said) == "up"
    assert flown.said[-1]["status"] == "done"
    assert flown.done["completed"] == len(flown.requests) == 300
    (block,) = compile_plan(Scenario.load(path)).blocks()
    requests = np.sort(flown.requests, order="request")
    assert requests["time_ns"].tolist() == block["time_ns"].tolist()
    assert (flown.attempts["start_ns"] >= 0).all()
    assert (flown.attempts["end_ns"] < 10 * SECOND).all()
    assert set(requests["outcome"]) == {1}


def test_it_ends_when_its_input_ends_and_hands_over_what_was_under_way(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(document(steady("100/s", length="60s"), length="60s")))
    clock = LiveClock.begin()
    reads, writes = os.pipe()
    with serving(lambda seen: SILENCE) as server:
        settings = LoadSettings(
            origin=clock.origin, fleet=compile_plan(Scenario.load(path)).fleet, redis_url="", scenario=path,
            host="127.0.0.1", port=server.port, rows=writes,
        )  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "windtunnel.backends.live.role", "load"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[writes],
        )  # fmt: skip
        os.close(writes)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings.model_dump_json() + "\n")
        process.stdin.flush()
        said = [json.loads(process.stdout.readline())]
        process.stdin.write(json.dumps({"command": "start", "start": clock.now()}) + "\n")
        process.stdin.flush()
        while said[-1]["status"] != "load":
            said.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        data = b""
        while piece := os.read(reads, 1 << 16):
            data += piece
        said += [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=30) == 0
        process.stdout.close()
    os.close(reads)
    from windtunnel.backends.load.frames import FrameReader

    requests = np.concatenate([frame[0] for frame in FrameReader().feed(data)])
    assert said[-1]["status"] == "done"
    assert said[-1]["offered"] == len(requests) > 50
    assert set(requests["outcome"]) == {14}
