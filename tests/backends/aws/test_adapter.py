"""The EC2 adapter as a flight uses it: tags, tokens, pages, lists that lag, throttling, user data."""

import base64
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from windtunnel.backends.aws.client import ec2_client
from windtunnel.backends.aws.dry_run import PlannedEc2
from windtunnel.backends.aws.factory import address_by, cloud_of, machine_of
from windtunnel.backends.aws.flight import Flight, tags_of
from windtunnel.backends.aws.patience import Patience
from windtunnel.backends.aws.redaction import Redaction
from windtunnel.backends.aws.user_data import LIMIT, fill_in
from windtunnel.backends.cloud import GRACE, Ec2Cloud, Machine
from windtunnel.backends.contract import cloud as cloud_contract
from windtunnel.core.ports import CloudError
from windtunnel.tests.backends.aws.conftest import SettingsOf
from windtunnel.tests.backends.aws.front import front
from windtunnel.tests.backends.test_contracts import HandClock


def flight(run: str = "run-1", page: int = 200, **patience: Any) -> Flight:
    return Flight(run, 0, Patience("test", pause=lambda _: None, **patience), Redaction(), page=page)


def adapter(client: Any, fleet: str, now: Any = lambda: 0, **options: Any) -> Ec2Cloud:
    return Ec2Cloud(
        client, fleet, Machine("ami-12345678"), now, lambda n, _: f"http://10.0.0.{n}", flight(**options)
    )


@pytest.mark.parametrize("check", cloud_contract.CHECKS, ids=lambda check: check.__name__)
def test_the_contract_holds_on_a_moto_server(check: cloud_contract.Check, settings: SettingsOf) -> None:
    check(cloud_of(settings(), time.monotonic_ns))


def test_a_launch_says_whose_it_is_and_what_it_shall_be(settings: SettingsOf, ec2: Any) -> None:
    group = ec2.create_security_group(GroupName=settings().fleet, Description="test")["GroupId"]
    given = settings(
        security_groups=(group,), user_data="#!/bin/sh\nrun {registry} {role} {number} ${HOME} {else}"
    )
    made = cloud_of(given, time.monotonic_ns).launch(7, "canary", "token")
    described = ec2.describe_instances(InstanceIds=[made.provider_id])["Reservations"][0]["Instances"][0]
    tags = tags_of(described)
    assert tags["windtunnel:fleet"] == given.fleet
    assert (tags["windtunnel:run"], tags["windtunnel:instance"]) == ("run-1", "7")
    assert tags["windtunnel:role"] == "canary"
    assert abs(int(tags["windtunnel:launched"]) - time.time_ns()) < 600 * 10**9
    assert (described["KeyName"], described["InstanceType"]) == ("key", "t3.micro")
    assert [one["GroupId"] for one in described["SecurityGroups"]] == [group]
    data = ec2.describe_instance_attribute(InstanceId=made.provider_id, Attribute="userData")["UserData"][
        "Value"
    ]
    assert (
        base64.b64decode(data).decode() == "#!/bin/sh\nrun redis://127.0.0.1:6379/0 canary 7 ${HOME} {else}"
    )
    assert made.address == f"http://{described['PrivateIpAddress']}"


def test_groups_and_profiles_are_told_by_id_or_by_name() -> None:
    machine = Machine(
        "ami-1", "t3.micro", "", ("sg-1", "web"), "subnet-1", "arn:aws:iam::1:instance-profile/app"
    )
    assert machine.parameters() == {
        "ImageId": "ami-1", "InstanceType": "t3.micro", "SecurityGroupIds": ["sg-1"], "SecurityGroups": ["web"],
        "SubnetId": "subnet-1", "IamInstanceProfile": {"Arn": "arn:aws:iam::1:instance-profile/app"},
    }  # fmt: skip
    assert Machine("ami-1", profile="app").parameters()["IamInstanceProfile"] == {"Name": "app"}


def test_a_token_launches_once_in_every_process(ec2: Any, settings: SettingsOf) -> None:
    fleet = settings().fleet
    first = adapter(ec2, fleet).launch(1, "serving", "token")
    assert adapter(ec2, fleet).launch(1, "serving", "token").provider_id == first.provider_id
    with pytest.raises(CloudError, match=r"InstanceNumberTaken: instance 1 .* run run-1"):
        adapter(ec2, fleet, run="run-2").launch(1, "serving", "token")
    assert len(adapter(ec2, fleet).list()) == 1


def test_threads_share_an_adapter(ec2: Any, settings: SettingsOf) -> None:
    cloud = adapter(ec2, settings().fleet)
    made: list[str] = []

    def launch(number: int) -> None:
        made.append(cloud.launch(number, "serving", f"token-{number}").provider_id)
        cloud.list()

    threads = [threading.Thread(target=launch, args=(1 + turn % 3,)) for turn in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 9
    assert {one.provider_id for one in cloud.list()} == set(made)
    assert [one.number for one in cloud.list()] == [1, 2, 3]


def test_all_pages_are_read(ec2: Any, settings: SettingsOf) -> None:
    cloud = adapter(ec2, settings().fleet, page=5)
    for number in range(1, 13):
        cloud.launch(number, "serving", f"token-{number}")
    assert [one.number for one in cloud.list()] == list(range(1, 13))


def test_nothing_without_our_tag_is_listed_or_terminated(ec2: Any, settings: SettingsOf) -> None:
    fleet = settings().fleet
    one = adapter(ec2, fleet + "-a").launch(1, "serving", "token")
    bare = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    for name in (f"{fleet}*", "*", fleet):
        cloud = adapter(ec2, name)
        assert cloud.list() == ()
        for other in (one.provider_id, bare):
            cloud.terminate(other)
    described = ec2.describe_instances(InstanceIds=[one.provider_id, bare])["Reservations"]
    assert [item["State"]["Name"] for found in described for item in found["Instances"]] == ["running"] * 2


class Lagging(PlannedEc2):
    """EC2's lists lag behind: an instance is described only when told so."""

    def __init__(self) -> None:
        super().__init__(lambda call: None)
        self.consistent = False
        self.terminated: list[str] = []

    def paginate(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield from super().paginate(**parameters) if self.consistent else [{"Reservations": []}]

    def terminate_instances(self, **parameters: Any) -> dict[str, Any]:
        self.terminated += parameters["InstanceIds"]
        return super().terminate_instances(**parameters)


def test_what_was_launched_a_moment_ago_counts_before_it_is_listed() -> None:
    client, clock = Lagging(), HandClock()
    cloud = adapter(client, "fleet", clock.now)
    made = [cloud.launch(number, "serving", f"token-{number}") for number in (1, 2)]
    assert cloud.list() == tuple(made)
    cloud.terminate(made[0].provider_id)
    assert client.terminated == [made[0].provider_id]
    assert cloud.list() == (made[1],)
    clock.advance(GRACE)
    assert cloud.list() == ()
    client.consistent = True
    assert cloud.list() == (made[1],)


def test_throttled_calls_are_made_again_and_not_for_ever(moto_url: str, settings: SettingsOf) -> None:
    waits: list[float] = []
    notices: list[str] = []
    with front(moto_url) as server:
        server.throttled = {"RunInstances": 3, "DescribeInstances": 1}
        given = settings(endpoint_url=server.address)
        cloud = cloud_of(given, time.monotonic_ns, pause=waits.append, notice=notices.append)
        cloud.launch(1, "serving", "token")
        assert server.actions.count("RunInstances") == 4
        assert len(waits) == 4 == len(notices)
        assert all("RequestLimitExceeded: asked again" in text for text in notices)
        # The waits double, give or take half.
        assert all(0.125 * 2**turn <= wait <= 0.375 * 2**turn for turn, wait in enumerate(waits[-3:]))
        server.throttled = {"RunInstances": 100}
        with pytest.raises(CloudError, match="RequestLimitExceeded"):
            cloud.launch(2, "serving", "token-2")
        assert server.throttled["RunInstances"] == 95
        assert [one.number for one in cloud.list()] == [1]


def test_patience_ends_when_a_provider_is_slow_to_fail() -> None:
    clock = [0.0]
    calls: list[float] = []

    def call() -> None:
        calls.append(clock[0])
        clock[0] += 3.0
        raise CloudError("Unavailable", "connect timeout")

    def pause(seconds: float) -> None:
        clock[0] += seconds

    patience = Patience("test", tries=100, longest=8.0, pause=pause, clock=lambda: clock[0])
    with pytest.raises(CloudError, match="connect timeout"):
        patience(call)
    assert len(calls) == 3
    assert calls[-1] <= 8.0
    again: list[float] = []
    with pytest.raises(CloudError):
        Patience("test", longest=1e9, pause=again.append)(call)
    same: list[float] = []
    with pytest.raises(CloudError):
        Patience("test", longest=1e9, pause=same.append)(call)
    assert again == same
    assert len(set(again)) == 4


def test_a_lost_answer_launches_no_second_instance(moto_url: str, settings: SettingsOf) -> None:
    with front(moto_url) as server:
        server.lost = {"RunInstances": 2}
        cloud = cloud_of(settings(endpoint_url=server.address), time.monotonic_ns, pause=lambda _: None)
        made = cloud.launch(1, "serving", "token")
        assert [one.provider_id for one in cloud.list()] == [made.provider_id]
        assert server.actions.count("RunInstances") == 1


def test_a_refusal_that_does_not_pass_is_told_at_once(settings: SettingsOf, ec2: Any) -> None:
    waits: list[float] = []
    cloud = cloud_of(settings(subnet="subnet-00000000"), time.monotonic_ns, pause=waits.append)
    with pytest.raises(CloudError) as caught:
        cloud.launch(1, "serving", "token")
    assert caught.value.code == "InvalidSubnetID.NotFound"
    assert waits == []


def test_addresses_are_private_or_public_or_of_this_machine(settings: SettingsOf) -> None:
    item = {"PrivateIpAddress": "10.1.2.3", "PublicIpAddress": "203.0.113.9"}
    assert address_by(settings())(1, item) == "http://10.1.2.3"
    assert address_by(settings(port=8080, public=True))(1, item) == "http://203.0.113.9:8080"
    assert address_by(settings(public=True))(1, {}) == ""
    assert address_by(settings(bridged=True, port=8080))(258, item).endswith(":8080")


def test_user_data_keeps_the_braces_of_a_script() -> None:
    assert fill_in("{a} ${a} {b} { a } {{a}}", {"a": "1"}) == "1 ${a} {b} { a } {1}"
    assert fill_in("{a}", {"a": "{b}", "b": "no"}) == "{b}"
    with pytest.raises(ValueError, match=f"at most {LIMIT} bytes"):
        fill_in("{a}" * 2, {"a": "x" * (LIMIT // 2 + 1)})


def test_the_client_is_made_of_the_settings(settings: SettingsOf) -> None:
    assert machine_of(settings()).image == "ami-12345678"
    assert ec2_client("us-east-1", settings().endpoint_url)[0].meta.config.retries["total_max_attempts"] == 1
