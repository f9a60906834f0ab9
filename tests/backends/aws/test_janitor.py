"""The janitor finds what a lost run left behind, and ends it only when told."""

import atexit
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from windtunnel import cli
from windtunnel.backends.aws.factory import cloud_of
from windtunnel.backends.aws.janitor import Janitor, seconds_of
from windtunnel.backends.aws.redaction import Redaction
from windtunnel.core.errors import UsageError
from windtunnel.core.ports import CloudError
from windtunnel.tests.backends.aws.conftest import SettingsOf


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def janitor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command as its entry point runs it, in this process."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["windtunnel", "janitor", "--region", "us-east-1", *arguments])
        monkeypatch.setattr(atexit, "register", lambda call: call)
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return Done(int(caught.value.code or 0), *capsys.readouterr())

    return run


def test_it_lists_and_ends_what_was_left_behind(
    settings: SettingsOf, moto_url: str, ec2: Any, janitor: Callable[..., Done]
) -> None:
    given = settings()
    lost = cloud_of(given, time.monotonic_ns)
    made = [lost.launch(number, role, f"t{number}") for number, role in ((1, "serving"), (2, "canary"))]
    ec2.stop_instances(InstanceIds=[made[1].provider_id])
    other = cloud_of(settings(fleet=given.fleet + "x"), time.monotonic_ns)
    other.launch(1, "serving", "t")
    there = ("--fleet", given.fleet, "--endpoint-url", moto_url)
    listed = janitor(*there)
    assert listed.returncode == 3, listed.stderr
    for text in (
        made[0].provider_id,
        made[1].provider_id,
        "canary",
        "run-1",
        "0m",
        "stopped",
        "running",
        "--yes",
    ):
        assert text in listed.stdout
    assert f"2 instances of fleet {given.fleet}, 0.0" in listed.stdout
    young = janitor(*there, "--older-than", "2h", "--yes", "--json")
    assert (young.returncode, json.loads(young.stdout)) == (0, [])
    ended = janitor(*there, "--yes", "--json")
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)
    assert sorted(
        (row["id"], row["number"], row["role"], row["run"], row["terminated"]) for row in rows
    ) == sorted((one.provider_id, one.number, one.role, "run-1", True) for one in made)
    nothing = janitor(*there)
    assert nothing.returncode == 0
    assert nothing.stderr == f"nothing is left of fleet {given.fleet}\n"
    assert len(other.list()) == 1


def test_bad_usage_is_exit_code_2(moto_url: str, janitor: Callable[..., Done]) -> None:
    for arguments, said in (
        (("--fleet", "*", "--endpoint-url", moto_url), "--fleet: expected letters"),
        (
            ("--fleet", "a", "--endpoint-url", moto_url, "--older-than", "2"),
            "--older-than: expected a duration",
        ),
        (("--fleet", "a", "--endpoint-url", "nonsense"), "AWS: "),
    ):
        done = janitor(*arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


class Client:
    """Describes what it is told, and refuses to terminate *protected*."""

    def __init__(self, items: list[dict[str, Any]], protected: str = "") -> None:
        self.items, self.protected, self.terminated = items, protected, list[str]()

    def get_paginator(self, name: str) -> "Client":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Reservations": [{"Instances": [item]}]} for item in self.items]

    def terminate_instances(self, InstanceIds: list[str]) -> None:
        if self.protected in InstanceIds:
            raise ClientError(
                {"Error": {"Code": "OperationNotPermitted", "Message": "protected"}}, "Terminate"
            )
        self.terminated += InstanceIds


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def item(name: str, hours: float, tags: dict[str, str]) -> dict[str, Any]:
    return {
        "InstanceId": name, "State": {"Name": "running"}, "LaunchTime": NOW - timedelta(hours=hours),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }  # fmt: skip


def test_age_and_hours_are_those_of_ec2_and_foreign_instances_are_not_ours() -> None:
    ours = {
        "windtunnel:fleet": "shop",
        "windtunnel:run": "r",
        "windtunnel:instance": "4",
        "windtunnel:role": "serving",
    }
    client = Client([item("i-1", 1.5, ours), item("i-2", 3, {"windtunnel:fleet": "shop"}),
                     item("i-3", 9, {"windtunnel:fleet": "shop2"}), item("i-4", 9, {})])  # fmt: skip
    keeper = Janitor(client, "shop", Redaction())
    assert [one.row() for one in keeper.find(now=NOW)] == [
        {"id": "i-2", "number": 0, "role": "", "state": "running", "age_seconds": 10_800, "run": "", "hours": 3.0},
        {"id": "i-1", "number": 4, "role": "serving", "state": "running", "age_seconds": 5_400, "run": "r", "hours": 1.5},
    ]  # fmt: skip
    assert [one.provider_id for one in keeper.find(seconds_of("2h"), NOW)] == ["i-2"]


def test_a_protected_instance_keeps_no_other_alive() -> None:
    client = Client([item(f"i-{turn}", turn, {"windtunnel:fleet": "shop"}) for turn in range(1, 4)], "i-2")
    keeper = Janitor(client, "shop", Redaction())
    with pytest.raises(CloudError, match="OperationNotPermitted: protected"):
        keeper.end(keeper.find(now=NOW))
    assert sorted(client.terminated) == ["i-1", "i-3"]
    with pytest.raises(UsageError, match="--fleet"):
        Janitor(client, "sh?p", Redaction())
