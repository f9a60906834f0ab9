"""The client with which live roles reach the registry."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .reach import Reach
from .registry import RedisRegistry
from .stale_reads import StaleReads

TIMEOUT_SECONDS = 1.0
"""For a connection, and for each answer."""


def redis_client(url: str) -> Any:
    """A synchronous client of the server at *url*: it fails within about a second, and whoever uses it waits and tries again.

    Left to itself redis-py tries a dead server ten times, sleeping in between.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="replace",  # a foreign program may write what it likes
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


def registry_at(url: str, prefix: str, reach: Reach | None = None) -> RedisRegistry:
    """The registry at *url* under key *prefix*, by the way of *reach* if one is given; it connects when it is first used. Raises ValueError for what is no Redis URL."""
    client = redis_client(url)
    return RedisRegistry(client, prefix) if reach is None else registry_by(client, prefix, reach)


def registry_by(client: Any, prefix: str, reach: Reach, apart: str = "") -> RedisRegistry:
    """The registry of *client*, by the way of *reach*, which may lead readers to a replica; *apart*: see RedisRegistry."""
    replicas: dict[str, RedisRegistry] = {}

    def replica() -> RedisRegistry | None:
        url = reach.replica
        if not url:
            return None
        if url not in replicas:
            replicas[url] = RedisRegistry(redis_client(url), prefix, reach.exchange)
        return replicas[url]

    return StaleReads(client, prefix, replica, reach.exchange, apart)
