"""A dry run tells every call and makes none; credentials are told nowhere; what is missing is said at once."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session
from windtunnel.backends.aws.dry_run import PlannedCall, PlannedEc2
from windtunnel.backends.aws.factory import cloud_of, settings_of
from windtunnel.backends.aws.flight import (
    TAG_FLEET,
    TAG_LAUNCHED,
    TAG_NUMBER,
    TAG_ROLE,
    TAG_RUN,
    TAG_SPENT,
    TAG_TOKEN,
)
from windtunnel.backends.aws.redaction import REMOVED, Redaction
from windtunnel.backends.contract import cloud as cloud_contract
from windtunnel.core.errors import UsageError
from windtunnel.core.ports import CloudError
from windtunnel.scenarios.problems import ScenarioError
from windtunnel.scenarios.scenario import Scenario
from windtunnel.tests.backends.aws.conftest import KEY_ID, SECRET, TOKEN, SettingsOf
from windtunnel.tests.backends.aws.front import front
from windtunnel.tests.backends.test_contracts import HandClock
from windtunnel.tests.scenarios.test_files import GOOD

AWS = {
    "region": "us-east-1", "image": "ami-12345678", "instance_type": "t3.micro", "key_name": "key",
    "user_data": "#!/bin/sh\nexec app --registry {registry}\n",
}  # fmt: skip


def no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(*_: Any) -> None:
        raise AssertionError("a call was made")

    monkeypatch.setattr(URLLib3Session, "send", sent)


@pytest.mark.parametrize("check", cloud_contract.CHECKS, ids=lambda check: check.__name__)
def test_a_dry_run_answers_as_a_cloud_does(
    check: cloud_contract.Check, settings: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_calls(monkeypatch)
    check(cloud_of(settings(dry_run=True), HandClock().now))


def test_a_dry_run_tells_what_would_be_sent(settings: SettingsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    no_calls(monkeypatch)
    calls: list[PlannedCall] = []
    given = settings(dry_run=True, max_instances=1, user_data="secret {number}", region="eu-central-1")
    cloud = cloud_of(given, HandClock().now, planned=calls.append)
    made = cloud.launch(1, "serving", "token")
    with pytest.raises(CloudError, match="MaxInstances"):
        cloud.launch(2, "serving", "token-2")
    cloud.terminate(made.provider_id)
    assert {call.operation for call in calls} == {"RunInstances", "DescribeInstances", "TerminateInstances"}
    (launch,) = [call for call in calls if call.operation == "RunInstances"]
    assert str(launch).startswith('ec2.RunInstances {"ClientToken": ')
    assert launch.parameters["ImageId"] == "ami-12345678"
    assert launch.parameters["UserData"].startswith("8 bytes, blake2b ")
    text = "\n".join(map(str, calls))
    assert '["i-planned0000000001"]' in text
    for hidden in ("secret", KEY_ID, SECRET, TOKEN):
        assert hidden not in text


def test_a_dry_run_finds_parameters_that_ec2_would_not_take() -> None:
    from windtunnel.tests.backends.aws.test_adapter import adapter

    planned: list[PlannedCall] = []
    cloud = adapter(PlannedEc2(planned.append), "fleet")
    cloud._machine = cloud._machine.__class__("ami-1", key_name=7)  # type: ignore[arg-type]
    with pytest.raises(CloudError, match=r"ParamValidation: (?s:.*)KeyName"):
        cloud.launch(1, "serving", "token")
    assert all(call.operation == "DescribeInstances" for call in planned)


def test_what_is_missing_is_said_by_field() -> None:
    with pytest.raises(ScenarioError) as caught:
        settings_of(Scenario.parse(GOOD, "s.yaml"), run="r", epoch=0, registry="redis://h")
    said = [str(problem) for problem in caught.value.problems]
    for field in ("region", "image", "instance_type", "key_name", "user_data"):
        (line,) = [text for text in said if text.startswith(f"s.yaml: fleet.cloud.aws.{field}: expected ")]
        assert "--backend aws, got n" in line


def test_settings_come_from_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "boot.sh").write_text("#!/bin/sh\nboot {number}\n")
    aws: dict[str, Any] = {**AWS, "user_data_file": "boot.sh", "security_groups": ["sg-1"], "port": 8080}
    del aws["user_data"]
    loaded = Scenario.parse(GOOD, folder=tmp_path, overrides={"fleet.cloud.aws": aws, "fleet.app.max": 4})
    made = settings_of(loaded, run="r", epoch=5, registry="redis://10.0.0.5:6379", max_hours=2.5)
    assert made.user_data == "#!/bin/sh\nboot {number}\n"
    assert (made.region, made.port, made.max_instances, made.max_hours) == ("us-east-1", 8080, 4, 2.5)
    assert (made.fleet, made.seed, made.epoch) == (loaded.name, loaded.document.seed, 5)
    plain = Scenario.parse(GOOD, folder=tmp_path, overrides={"fleet.app.max": 4})
    assert loaded.fingerprint() == plain.fingerprint(), "where it flies is no part of what is flown"
    assert str(tmp_path / "boot.sh") in loaded.to_yaml()
    assert Scenario.parse(loaded.to_yaml()).fingerprint() == loaded.fingerprint()
    missing = Scenario.parse(
        GOOD, "s.yaml", tmp_path, {"fleet.cloud.aws": {**aws, "user_data_file": "no.sh"}}
    )
    with pytest.raises(ScenarioError, match=r"user_data_file: no\.sh: No such file"):
        settings_of(missing, run="r", epoch=0, registry="", max_instances=1)
    odd = Scenario.parse(GOOD, "s.yaml", tmp_path, {"fleet.cloud.aws": aws, "scenario": "a*"})
    with pytest.raises(ScenarioError, match=r"scenario: expected letters, digits"):
        settings_of(odd, run="r", epoch=0, registry="", max_instances=1)


def test_the_scenario_on_the_page_would_fly() -> None:
    page = (Path(__file__).parents[3] / "docs" / "aws.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    made = settings_of(Scenario.parse(block), run="r", epoch=0, registry="redis://h")
    assert (made.fleet, made.max_instances, made.security_groups) == ("shop", 6, ("sg-0123456789abcdef0",))
    for tag in (TAG_FLEET, TAG_RUN, TAG_NUMBER, TAG_ROLE, TAG_LAUNCHED, TAG_TOKEN, TAG_SPENT):
        assert f"`{tag}`" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user_data_file": "f"}, "expected user_data or user_data_file, got both"),
        ({"endpoint_url": "http://user:word@host"}, "without user and password"),
        ({"port": 0}, "port"),
        ({"zone": "a"}, "zone"),
    ],
)
def test_a_wrong_section_is_a_problem_of_the_scenario(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        Scenario.parse(GOOD, overrides={"fleet.cloud.aws": {**AWS, **changes}})


def test_redaction_removes_what_it_knows_and_what_looks_like_it() -> None:
    redact = Redaction((None, "", "my-own-secret"))
    text = f"my-own-secret {KEY_ID} {SECRET} {TOKEN} ASIAABCDEFGHIJKLMNOP https://u:p@host/x"
    assert redact(text) == f"{REMOVED} {REMOVED} {REMOVED} {REMOVED} {REMOVED} https://host/x"


def test_without_credentials_or_region_nothing_is_tried(
    settings: SettingsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_calls(monkeypatch)
    with pytest.raises(UsageError, match="AWS: "):
        cloud_of(settings(region="no such region"), HandClock().now)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match="AWS: expected credentials"):
        cloud_of(settings(), HandClock().now)


FAILING = """
import sys, time, traceback
from windtunnel.backends.aws.factory import cloud_of
from windtunnel.backends.aws.settings import AwsSettings
for line in sys.stdin:
    cloud = cloud_of(AwsSettings.model_validate_json(line), time.monotonic_ns, pause=lambda _: None, notice=print)
    try:
        cloud.launch(1, "serving", "token")
    except Exception as error:
        print(repr(error), error, error.__context__, error.__cause__)
        traceback.print_exc()
"""


def test_credentials_are_told_nowhere(moto_url: str, settings: SettingsOf, tmp_path: Path) -> None:
    """An indiscreet server repeats what it was sent, another is not there: errors, tracebacks, logs and the run's directory stay clean."""
    outputs: list[str] = []

    def run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *command], input=given, capture_output=True, text=True, cwd=tmp_path, timeout=120,
            env={**os.environ},
        )  # fmt: skip
        outputs.extend((done.stdout, done.stderr))
        return done

    with front(moto_url) as server:
        server.indiscreet = True
        janitor = ("-m", "windtunnel", "janitor", "--fleet", "x", "--region", "us-east-1", "--endpoint-url")
        assert run(*janitor, server.address).returncode == 4
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            addresses = (server.address, f"http://127.0.0.1:{nobody.getsockname()[1]}")
            lines = [settings(endpoint_url=address).model_dump_json() for address in addresses]
            failed = run("-c", FAILING, given="\n".join(lines))
    assert "SignatureDoesNotMatch" in failed.stderr
    assert "Traceback" in failed.stderr
    assert REMOVED in failed.stderr
    assert "Unavailable: asked again" in failed.stdout
    assert failed.returncode == 0
    (tmp_path / "s.yaml").write_text(GOOD)
    overrides = (
        "--set",
        f"fleet.cloud.aws={json.dumps(AWS)}",
        "--no-figure",
        "--out",
        "run",
        "--engine",
        "simpy",
    )
    replayed = run(
        "-m", "windtunnel", "replay", "s.yaml", "--registry", "memory", "--cloud", "moto", *overrides
    )
    assert replayed.returncode in (0, 3), replayed.stderr
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert any(path.name == "host.json" for path in files)
    texts = [*outputs, *(path.read_bytes().decode("latin-1") for path in files)]
    for secret in (KEY_ID, SECRET, TOKEN):
        assert not [text for text in texts if secret in text]
