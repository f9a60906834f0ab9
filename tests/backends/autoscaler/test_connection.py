"""The live roles' Redis client gives up soon, and gives back what foreign programs wrote."""

import socket
import time

import pytest
import redis
from windtunnel.backends.connection import TIMEOUT_SECONDS, redis_client
from windtunnel.backends.registry import RedisRegistry
from windtunnel.core.ports import RegistryError
from windtunnel.tests.backends.redis_fixture import RedisServer

PATIENCE = 15.0
"""A client that waited for ever, or tried again and again, would take longer."""


def test_a_dead_port_fails_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = redis_client(f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
        began = time.monotonic()
        with pytest.raises(RegistryError, match="ConnectionError"):
            RedisRegistry(client).servers()
        assert time.monotonic() - began < PATIENCE


def test_a_server_that_never_answers_fails_after_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = redis_client(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        with pytest.raises(RegistryError, match="Timeout"):
            RedisRegistry(client).servers()
        assert TIMEOUT_SECONDS * 0.9 < time.monotonic() - began < PATIENCE
        client.close()


def test_it_works_again_when_the_server_is_back(redis_server: RedisServer) -> None:
    client = redis_client(redis_server.url)
    registry = RedisRegistry(client)
    registry.register("http://127.1.0.1:9000", "serving")
    redis_server.stop()
    with pytest.raises(RegistryError):
        registry.servers()
    redis_server.start()
    assert registry.servers().serving == (), "it came back empty"
    client.close()


def test_foreign_bytes_are_no_crash(redis_server: RedisServer) -> None:
    raw = redis.Redis.from_url(redis_server.url)
    raw.hset("request_load", b"http://\xff\xfe", b"\xff")
    raw.hset("request_load", "http://127.1.0.1", "7")
    with redis_client(redis_server.url) as client:
        assert RedisRegistry(client).read_samples(["http://127.1.0.1"])["http://127.1.0.1"].requests == 7
    raw.close()
