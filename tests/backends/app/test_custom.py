"""Custom metrics in flight: of a modelled server, and of a program of the user's that tells its own."""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from windtunnel.backends.app.custom import parse
from windtunnel.backends.registry import RedisRegistry

from ..redis_fixture import RedisServer
from .running import app_settings, fleet_of, running, until

NAMES = ("jobs", "files")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"jobs": 3, "files": 2.5, "other": 9}', {"jobs": 3.0, "files": 2.5}),
        ('{"jobs": "3", "files": true}', {}),
        (' {"jobs": 1e999, "files": null}', {}),
        ("# TYPE jobs gauge\njobs 3\nfiles{kind=\"a b\"} 1.5 1700000000\nfiles{kind=\"c\"} 2\n", {"jobs": 3.0, "files": 3.5}),
        ("jobs NaN\nfiles +Inf\njobs_total 9\n", {}),
        ("jobs x\n<html>\n", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_a_program_tells(text: str, found: dict[str, float]) -> None:
    assert parse(text, NAMES) == found


@pytest.mark.parametrize("text", ["[1]", "{", '{"jobs": }'])
def test_json_that_is_no_object(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Expecting"):
        parse(text, NAMES)


def sample_of(registry: RedisRegistry, address: str, there: Any) -> Any:
    return until(
        lambda: next((one for one in registry.read_samples([address]).values() if there(one)), None),
        "a sample",
    )


def test_a_modelled_server_writes_what_its_model_says(redis_server: RedisServer) -> None:
    fleet = fleet_of(metrics={"files": {"base": 40, "per_in_flight": 3}, "jobs": {}})
    with running("app", app_settings(fleet, redis_server.url)) as role:
        address = role.wait("up")["address"]
        sample = sample_of(RedisRegistry(redis_server.client), address, lambda one: one.custom)
        assert sample.custom == {"files": 40.0}


PROGRAM = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/metrics":
            self.send_error(404)
            return
        try:
            body = open({told!r}, "rb").read()
        except FileNotFoundError:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def test_a_program_tells_its_own(tmp_path: Path, redis_server: RedisServer) -> None:
    told = tmp_path / "told"
    told.write_text(json.dumps({"jobs": 7, "secret": 1}))
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM.format(told=str(told))))
    command = (sys.executable, str(script), "{host}", "{port}")
    fleet = fleet_of(
        command=list(command), metrics={"jobs": {}, "files": {"base": 99}}, metrics_path="/metrics"
    )
    with running("app", app_settings(fleet, redis_server.url, command=command)) as role:
        registry, address = RedisRegistry(redis_server.client), role.wait("up")["address"]
        first = sample_of(registry, address, lambda one: one.custom)
        assert first.custom == {"jobs": 7.0}, "neither what is not declared, nor a model"
        until(lambda: any("does not tell files" in line for line in role.log), "what is missing is said")
        told.write_text("jobs 8\nfiles 5\n")
        sample_of(registry, address, lambda one: one.custom == {"jobs": 8.0, "files": 5.0})
        told.unlink()
        until(lambda: any("503" in line for line in role.log), "so is a program that does not answer")
        assert sum("does not tell files" in line for line in role.log) == 1
