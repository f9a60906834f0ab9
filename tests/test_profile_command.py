"""``windtunnel profile RUN``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from windtunnel.api import replay
from windtunnel.cli import app
from windtunnel.core.errors import UsageError
from windtunnel.reports.run import RunError
from windtunnel.tests.reports.profiler.catalogue import CATALOGUE
from windtunnel.tests.support import TWINS, scenario


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which a server is killed."""
    folder = tmp_path_factory.mktemp("profile") / "run"
    replay(scenario(CATALOGUE["kill"]), out=folder, **TWINS)
    return folder


def profile(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["profile", *map(str, arguments)])


def test_it_shows_map_errors_with_origins_and_hints(directory: Path) -> None:
    done = profile(directory)
    assert done.exit_code == 0, done.output
    assert "server 1" in done.output
    assert "fault struck (kill, server 1) at 0:10" in done.output
    assert "certain: server was gone" in done.output
    assert "Hints" in done.output


def test_the_map_of_a_time(directory: Path) -> None:
    done = profile(directory, "--at", "0:11")
    assert done.exit_code == 0
    assert "Map from 0:11 to 0:12" in done.output
    assert "failed" in done.output
    assert "Errors" not in done.output
    assert "Map from 0:05 to 0:09" in profile(directory, "--at", "5s..9s").output


def test_json_has_all_of_it(directory: Path) -> None:
    found = json.loads(profile(directory, "--json", "--at", "11s").output)
    assert [node["id"] for node in found["map"]["nodes"]][:3] == ["clients", "proxy", "server-1"]
    assert found["failed"] == sum(one["count"] for one in found["failures"])
    assert found["failed"] == sum(one["count"] for one in found["origins"])
    assert found["origins"][0]["origin"]["name"] == "struck"
    assert {"signature", "count", "share", "first", "last", "origins", "examples"} <= set(
        found["failures"][0]
    )
    assert isinstance(found["hints"], list)


def test_mistakes_are_told(directory: Path, tmp_path: Path) -> None:
    late = profile(directory, "--at", "10m")
    assert isinstance(late.exception, UsageError)
    assert "expected a time before" in str(late.exception)
    backwards = profile(directory, "--at", "9s..5s")
    assert "ends after it begins" in str(backwards.exception)
    assert isinstance(profile(tmp_path).exception, RunError)
