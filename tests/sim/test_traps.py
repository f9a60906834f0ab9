"""Each trap of the libraries that the design names, so that a new version cannot reopen it unseen."""

import time
from typing import Any

import boto3
import fakeredis
import pytest
import redis
import simpy
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from redis.backoff import NoBackoff
from redis.retry import Retry
from windtunnel.core.order import Kind
from windtunnel.core.ports import CloudError
from windtunnel.sim.embedded_cloud import moto_cloud
from windtunnel.sim.embedded_redis import EPOCH_S, virtual_redis
from windtunnel.sim.timeline import Timeline


def ec2() -> Any:
    return boto3.client("ec2", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))


def test_fakeredis_lives_in_virtual_time() -> None:
    now = 0
    with virtual_redis(lambda: now) as client:
        client.set("key", "value", px=1500)
        now = 1_500_000_000
        assert client.get("key") == "value", "as Redis: expired once the time has passed"
        now = 1_501_000_000
        assert client.get("key") is None
        assert client.time() == (EPOCH_S + 1, 501_000)
        client.hset("hash", "field", "value")
        client.hexpire("hash", 2, "field")
        now += 1_999_000_000
        assert client.hget("hash", "field") == "value"
        now += 2_000_000
        assert client.hget("hash", "field") is None


def test_fakeredis_gets_its_clock_back() -> None:
    with virtual_redis(lambda: 0):
        pass
    seconds, _ = fakeredis.FakeRedis(server=fakeredis.FakeServer()).time()
    assert abs(seconds - time.time()) < 60


def test_each_rehearsal_has_a_server_of_its_own() -> None:
    with virtual_redis(lambda: 0) as one:
        one.set("key", "value")
        with_other = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
        assert with_other.get("key") is None


def test_moto_ignores_client_tokens_and_our_overlay_does_not() -> None:
    with mock_aws():
        launch = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "ClientToken": "once"}
        ids = [ec2().run_instances(**launch)["Instances"][0]["InstanceId"] for _ in range(2)]
        assert ids[0] != ids[1], "moto keeps tokens now: the overlay may go"
    with moto_cloud("fleet", lambda: 0) as cloud:
        assert cloud.launch(1, "serving", "t").provider_id == cloud.launch(1, "serving", "t").provider_id


def test_moto_instances_are_born_running() -> None:
    with mock_aws():
        client = ec2()
        made = client.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        listed = client.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]
        assert listed["State"]["Name"] == "running", "moto boots instances now: whose boot time counts?"


def test_motos_ids_change_with_any_other_call() -> None:
    """One generator draws request ids and instance ids: the reason why logs hold our numbers only."""
    from moto.moto_api._internal import mock_random

    ids = []
    for calls in (0, 1):
        with mock_aws():
            client = ec2()
            mock_random.seed(42)
            for _ in range(calls):
                client.describe_instances()
            ids.append(
                client.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
            )
    assert ids[0] != ids[1]


def test_simpy_copies_exceptions_by_their_arguments() -> None:
    def failing(env: simpy.Environment, error: Exception) -> Any:
        yield env.timeout(1)
        raise error

    env = simpy.Environment()
    env.process(failing(env, CloudError("RequestLimitExceeded", "slow down")))
    with pytest.raises(CloudError, match="RequestLimitExceeded: slow down"):
        env.run()
    env = simpy.Environment()
    env.process(failing(env, ClientError({"Error": {"Code": "X"}}, "RunInstances")))
    with pytest.raises(TypeError):
        env.run()


def test_redis_py_waits_for_a_dead_server_unless_told_otherwise() -> None:
    client = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    begin = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        client.get("key")
    assert time.monotonic() - begin < 1


def test_simultaneous_events_do_not_depend_on_insertion() -> None:
    events = [(Kind.START, 0, 3, 0), (Kind.ANSWER, 2, 1, 0), (Kind.ANSWER, 1, 9, 0), (Kind.MONITOR, 0, 0, 0)]
    orders = []
    for inserted in (events, events[::-1]):
        timeline = Timeline()
        happened: list[tuple[int, ...]] = []
        for event in inserted:
            timeline.at(5, *event, happened.append, event)
        timeline.env.run()
        orders.append(happened)
    assert orders[0] == orders[1] == sorted(events)


def test_a_zero_length_hop_is_an_event_in_its_turn() -> None:
    timeline, happened = Timeline(), []

    def arrive(name: str) -> None:
        happened.append(name)
        if name == "first":
            timeline.at(5, Kind.ANSWER, 0, 0, 0, happened.append, "its answer")

    timeline.at(5, Kind.START, 0, 1, 0, arrive, "first")
    timeline.at(5, Kind.START, 0, 2, 0, arrive, "second")
    timeline.env.run()
    assert happened == ["first", "its answer", "second"]
