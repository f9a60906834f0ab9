"""The contracts of registry and cloud, against everything that stands for Redis and EC2, and the real server."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import redis
from botocore.config import Config
from moto.server import ThreadedMotoServer
from redis.backoff import NoBackoff
from redis.retry import Retry
from windtunnel.backends.cloud import Ec2Cloud, Machine
from windtunnel.backends.contract import cloud as cloud_contract
from windtunnel.backends.contract import registry as registry_contract
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.ports import Cloud, CloudError, RegistryError
from windtunnel.sim.embedded_cloud import MemoryCloud, Overlay, address_of, moto_cloud
from windtunnel.sim.embedded_redis import virtual_redis
from windtunnel.sim.memory_redis import MemoryRedis
from windtunnel.tests.backends.redis_fixture import RedisServer


class HandClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        return self.time

    def advance(self, ns: int) -> None:
        self.time += ns


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    with RedisServer() as server:
        yield server.port


@pytest.fixture(params=["redis", "fakeredis", "memory"])
def store(request: pytest.FixtureRequest, redis_port: int) -> Iterator[tuple[Any, registry_contract.Advance]]:
    """A raw client and a way to let time pass."""
    clock = HandClock()
    if request.param == "redis":
        client = redis.Redis(port=redis_port, decode_responses=True)
        client.flushall()
        yield client, lambda ns: time.sleep(ns / 1e9)
        client.close()
    elif request.param == "fakeredis":
        with virtual_redis(clock.now) as client:
            yield client, clock.advance
    else:
        yield MemoryRedis(clock.now), clock.advance


@pytest.mark.parametrize("check", registry_contract.CHECKS, ids=lambda check: check.__name__)
def test_registry_contract(check: registry_contract.Check, store: Any) -> None:
    raw, advance = store
    check(RedisRegistry(raw), raw, advance)


def test_keys_carry_the_prefix(store: Any) -> None:
    raw, _ = store
    registry = RedisRegistry(raw, "blue:")
    registry.register("http://10.0.0.9", "serving")
    assert raw.lrange("blue:serving_servers", 0, -1) == ["http://10.0.0.9"]
    assert RedisRegistry(raw).servers().serving == ()


def test_a_lost_server_is_a_registry_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = redis.Redis(port=unused.getsockname()[1], retry=Retry(NoBackoff(), 0), decode_responses=True)
        with pytest.raises(RegistryError, match="ConnectionError"):
            RedisRegistry(client).servers()


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["moto", "moto server", "memory"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    if request.param == "memory":
        yield Overlay(MemoryCloud(lambda: 0), lambda: 0, 0)
    elif request.param == "moto":
        with moto_cloud("fleet", lambda: 0) as embedded:
            yield embedded
    else:
        url = request.getfixturevalue("moto_url")
        client = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test").client(
            "ec2", region_name="us-east-1", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
        )
        fleet = f"fleet-{time.monotonic_ns()}"
        adapter = Ec2Cloud(client, fleet, Machine("ami-1"), lambda: 0, lambda n, _: address_of(n))
        yield Overlay(adapter, lambda: 0, 0)


@pytest.mark.parametrize("check", cloud_contract.CHECKS, ids=lambda check: check.__name__)
def test_cloud_contract(check: cloud_contract.Check, cloud: Cloud) -> None:
    check(cloud)


def test_only_our_own_instances_are_terminated() -> None:
    with moto_cloud("ours", lambda: 0) as ours:
        client = boto3.client("ec2", region_name="us-east-1")
        foreign = client.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        ours.terminate(foreign)
        state = client.describe_instances(InstanceIds=[foreign])["Reservations"][0]["Instances"][0]["State"]
        assert state["Name"] == "running"
        assert ours.list() == ()


def test_a_refusal_becomes_a_cloud_error() -> None:
    class Refusing:
        def run_instances(self, **_: Any) -> Any:
            from botocore.exceptions import ClientError

            raise ClientError(
                {"Error": {"Code": "InsufficientInstanceCapacity", "Message": "none"}}, "RunInstances"
            )

    cloud = Ec2Cloud(Refusing(), "fleet", Machine("ami-1"), lambda: 0, lambda n, _: address_of(n))
    with pytest.raises(CloudError) as caught:
        cloud.launch(1, "serving", "token")
    assert caught.value.code == "InsufficientInstanceCapacity"
    copy = type(caught.value)(*caught.value.args)
    assert (copy.code, copy.message) == (caught.value.code, "none")


@pytest.mark.parametrize("kind", ["moto", "memory"])
def test_the_overlay_keeps_an_instance_pending(kind: str) -> None:
    clock = HandClock()
    with moto_cloud("fleet", clock.now, 5) as embedded:
        cloud = embedded if kind == "moto" else Overlay(MemoryCloud(clock.now), clock.now, 5)
        assert cloud.launch(1, "serving", "token").state == "pending"
        clock.advance(4)
        assert cloud.list()[0].state == "pending"
        clock.advance(1)
        assert cloud.list()[0].state == "running"
