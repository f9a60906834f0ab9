"""The one way in which roles of this package reach Redis: short timeouts, and no retries of redis-py's own (it would really sleep between them)."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..registry import RedisRegistry

PATIENCE = 0.5
"""Seconds for connecting, and for an answer."""


def connect(url: str, prefix: str) -> RedisRegistry:
    """The registry at *url*; it connects when it is first used. Raises ValueError for what is no Redis URL."""
    client = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    return RedisRegistry(client, prefix)
